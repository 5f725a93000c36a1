"""Says in a report when the pictures of the stimulus appeared."""

from __future__ import annotations

from rtrecon.session.summary import Summary


def describe_screen(summary: Summary) -> str:
    """Return when pictures appeared; "" if no photodiode saw them."""
    lag_ms, pictures = summary["monitor_lag_ms"], summary["pictures"]
    if lag_ms is None or not pictures:
        return ""
    return (
        f"Pictures appeared {lag_ms['p50']:.0f} ms after their times as sent (99 % "
        f"within {lag_ms['p99']:.0f} ms); {pictures['without edge']} of "
        f"{pictures['judged']} did not appear in time."
    )
