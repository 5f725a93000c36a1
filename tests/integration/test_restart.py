"""A daemon is killed during a session, and the next daemon resumes the session."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon import config
from rtrecon.config import TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.session.resume_state import (
    find_resumable_session,
    get_state_path,
    load_state,
)
from rtrecon.testing.daemon_process import N_TEMPLATE, START_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)
from tests.support.changed_constants import ChangedDaemon

N_BEFORE, N_AFTER = N_TEMPLATE + 60, 40
OFTEN = {"rtrecon.daemon.state_checkpointer._SAVE_INTERVAL_S": 0.2}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """(killed daemon, next daemon, its recordings) of one session."""
    folder = tmp_path_factory.mktemp("restart")
    settings = make_small_settings(folder)
    with (
        ChangedDaemon(folder, settings, OFTEN) as first,
        SimulatedMicroscope(first) as scope,
    ):
        scope.send_frames(N_BEFORE)
        scope.wait_until_processed()
        (record,) = first.recordings(scope.session)
        kept = get_state_path(record.path, 0)
        first.wait_until(
            lambda: _newest_s(kept, settings) == (N_BEFORE - 1) / 30.0, START_TIMEOUT_S
        )
        first.kill()
        with DaemonProcess(folder, settings) as second:
            scope.daemon = second
            scope.send_frames(N_AFTER)
            second.wait_until(
                lambda: second.newest_health().frames_processed == N_AFTER
            )
            assert second.call("stop")["ok"]
            second.process.wait()
            yield first, second, second.recordings(scope.session)


def _newest_s(kept, settings: config.Settings) -> float:
    try:
        return load_state(kept, settings).t_newest_frame_s
    except UserError:
        return -1.0


def test_the_next_daemon_reports_the_resumed_session(parts):
    _, second, (before, _) = parts
    sentences = [event.message for event in second.events_named("reference")]
    assert f"the session continues from {before.path.name}" in sentences


def test_the_resumed_session_needs_no_calibration(parts):
    _, second, (_, after) = parts
    assert second.newest_health().state != "calibrating"
    first_frame = N_BEFORE + 1
    assert after.frames["frame"].tolist() == list(
        range(first_frame, first_frame + N_AFTER)
    )


def test_encoder_frames_are_counted_on_after_the_restart(parts):
    _, _, (before, after) = parts
    assert before.activity["encoder_frame"][0] == 0
    newest = before.frames["frame"][-1]
    assert newest <= after.activity["encoder_frame"][0] + 1 <= newest + 2


def test_the_baseline_survives_the_restart(parts):
    """The same 20 images are sent over and over: they must give similar traces."""
    _, _, (before, after) = parts
    old, new = before.frames.read_values()[-20:, 2], after.frames.read_values()[:20, 2]
    assert np.abs(new - old).max() < 0.1 * np.ptp(old)


def test_the_template_survives_the_restart(parts):
    _, _, (before, after) = parts
    for axis in ("shift_y_px", "shift_x_px"):
        old, new = before.frames[axis][-20:], after.frames[axis][:20]
        np.testing.assert_allclose(new, old, atol=1e-6)


def test_the_trace_quality_is_saved_as_a_table(parts):
    _, _, (_, after) = parts
    first, *lines = (after.path / "trace_quality_plane0.csv").read_text().splitlines()
    assert first == "id,noise,snr,neuropil_coefficient"
    assert [int(line.split(",")[0]) for line in lines] == after.about.roi_ids
    assert all(line.endswith(",0.7") for line in lines)


def test_a_state_of_other_settings_is_refused(parts, tmp_path):
    _, second, (before, _) = parts
    changed = second.settings.model_copy(
        update={"traces": TracesSettings(indicator_decay_s=0.3)}
    )
    with pytest.raises(
        UserError, match="with other registration, traces or dish settings"
    ):
        load_state(get_state_path(before.path, 0), changed)


def test_a_truncated_state_is_refused_with_a_reason(parts, tmp_path):
    _, second, (before, _) = parts
    cut = tmp_path / "state_plane0.npz"
    cut.write_bytes(get_state_path(before.path, 0).read_bytes()[:200])
    with pytest.raises(UserError, match=r"state_plane0\.npz cannot be read"):
        load_state(cut, second.settings)


def test_only_the_same_session_is_resumed(parts):
    _, _, (_, after) = parts
    folder = after.path.parent
    assert find_resumable_session(folder, after.about.session, 1) == after.path
    assert find_resumable_session(folder, "another", 1) is None
    assert find_resumable_session(folder, after.about.session, 2) is None
