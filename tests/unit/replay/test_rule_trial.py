"""Rules are tried on a recorded session whose every value is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.replay.rule_trial import RuleTrial, try_rules
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow, FrameRow
from tests.support import session_tables as world

N_FRAMES, N_LATE, START_S = 90, 10, 1000.0
LAG = 2  # frames that deconvolution waits for: an activity is known so much later
SETTINGS = {"traces": {"deconvolution_lag_frames": LAG}}


def received_s(i: int) -> float:
    return START_S + i / 30


def record_session(folder: Path) -> Path:
    """A session of 3 s; frame i has speed i, and its first frames waited for 0.5 s."""
    about = world.make_about(rejection_reasons=["", "too dim"], settings=SETTINGS)
    recorder = Recorder(folder, about)
    for i in range(N_FRAMES):
        latency_ms = 500.0 - 1e3 * i / 30 if i < N_LATE else 2.0
        row = FrameRow(
            i, i, i / 30, received_s(i), received_s(i), i, -i, 0.9, True, latency_ms
        )
        recorder.add_frame(row, world.make_traces(i))
        recorder.add_activity(
            ActivityRow(i, i, math.nan, i), np.full(world.N_NEURON, i)
        )
        if i % 15 == 14:
            quality = {"activity_correlation": 0.5 if i < 60 else 0.05}
            recorder.add_quality(
                messages.Quality(
                    session="s",
                    seq=0,
                    t=received_s(i),
                    encoder_frame=i,
                    lag_s=0.2,
                    metrics=quality,
                )
            )
        if i % world.HOP == world.HOP - 1:
            movie = world.make_movie_message(i, t=received_s(i), n_steps=i)
            recorder.add_movie(
                movie, np.full((world.WINDOW, *world.IMAGE), i, np.uint8)
            )
    recorder.add_health(world.make_health(frames_processed=N_FRAMES))
    recorder.close()
    return recorder.path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_session(tmp_path_factory.mktemp("recordings"))


def try_rule(session: Path, folder: Path, **rule: object) -> RuleTrial:
    lines = "\n".join(f"{key} = {value!r}" for key, value in rule.items())
    file = folder / "rules.toml"
    file.write_text(f"[[closed_loop.rules]]\nname = 'tried'\n{lines}\n")
    (trial,) = try_rules(session, file)
    return trial


# rule -> when it fires, in s since the first frame
RULES = {
    "activity of all neurons": ({"when": "mean(activity) > 44.5"}, [(45 + LAG) / 30]),
    "activity of some neurons": (
        {"when": "sum(activity[0, 2]) > 101"},
        [(51 + LAG) / 30],
    ),
    "behavior": ({"when": "activity.behavior[1] >= 60"}, [(60 + LAG) / 30]),
    "held for a time": (
        {"when": "mean(activity) > 29.5", "for_s": 0.5},
        [(45 + LAG) / 30],
    ),
    "quality": ({"when": "quality.activity_correlation < 0.1"}, [74 / 30]),
    "the movie": ({"when": "movie.n_steps > 40"}, [41 / 30]),
    "motion": ({"when": "field.shift_px[0] > 1e9"}, []),
    "health": ({"when": "health.daemon.frames_processed > 9"}, [-START_S]),
}


@pytest.mark.parametrize("case", RULES)
def test_a_rule_fires_where_it_would_have_fired_live(session, tmp_path, case):
    rule, fired_s = RULES[case]
    trial = try_rule(session, tmp_path, **rule)
    # Latency of 2 ms comes on top: an activity is known when its frame is processed.
    assert trial.fired_s == pytest.approx(fired_s, abs=0.003)


def test_frames_that_waited_for_a_reference_do_not_count(session, tmp_path):
    trial = try_rule(session, tmp_path, when="mean(activity) > -1")
    assert min(trial.values) >= N_LATE - LAG
    assert len(trial.values) >= N_FRAMES - N_LATE - 6


def test_percentiles_of_the_known_values_are_reported(session, tmp_path):
    trial = try_rule(session, tmp_path, when="movie.n_steps > 40")
    steps = np.arange(world.HOP - 1, N_FRAMES, world.HOP)
    assert trial.percentiles[50] == np.median(steps)
    sentence = trial.describe()
    assert (
        "tried (movie.n_steps > 40): would have fired once (first at 1.4 s)" in sentence
    )
    assert f"percentiles of its {len(steps)} values: 1 %: " in sentence


def test_a_rule_whose_value_is_never_known_is_reported(session, tmp_path):
    trial = try_rule(session, tmp_path, when="activity.behavior[0] > 1")
    assert trial.describe().endswith(
        "never have fired; the session has no values for it"
    )


def test_a_rule_on_missing_neurons_is_reported_as_off(session, tmp_path):
    trial = try_rule(session, tmp_path, when="mean(activity[1, 99]) > 0")
    assert trial.missing_ids == [99]
    assert "off, because the session has no neurons [99]" in trial.describe()


def test_outputs_of_another_computer_are_not_needed(session, tmp_path):
    trial = try_rule(
        session, tmp_path, when="movie.n_steps > 40", outputs=["a TTL of the rig"]
    )
    assert len(trial.fired_s) == 1


def test_a_session_without_rules_asks_for_a_settings_file(session):
    with pytest.raises(UserError, match=r"has no rules; .* give it with --settings"):
        try_rules(session)


def test_the_command_prints_each_rule(session, tmp_path):
    try_rule(session, tmp_path, when="movie.n_steps > 40")
    arguments = ["rules", str(session), "--settings", str(tmp_path / "rules.toml")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "tried (movie.n_steps > 40): would have fired once" in done.output
