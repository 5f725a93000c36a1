"""A daemon killed in the middle of a session: the next one goes on where it was."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon import config
from rtrecon.config import TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.session.resume_state import earlier_part, load_state, state_file
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    SLOW_S,
    Daemon,
    Scope,
    small_settings,
)

N_BEFORE, N_AFTER = N_TEMPLATE + 60, 40


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What two daemons heard and kept of one session, killed after its first part."""
    folder = tmp_path_factory.mktemp("restart")
    settings = small_settings(folder)
    with Daemon(folder, settings) as first, Scope(first) as scope:
        scope.scan(N_BEFORE)
        scope.until_processed()
        (record,) = first.records(scope.session)
        kept = state_file(record.path, 0)
        first.until(lambda: _newest_s(kept, settings) == (N_BEFORE - 1) / 30.0, SLOW_S)
        first.kill()
        with Daemon(folder, settings) as second:
            scope.daemon = second
            scope.scan(N_AFTER)
            second.until(lambda: second.health().frames_processed == N_AFTER)
            assert second.ask("stop")["ok"]
            second.process.wait()
            yield first, second, second.records(scope.session)


def _newest_s(kept, settings: config.Settings) -> float:
    try:
        return load_state(kept, settings).t_s
    except UserError:
        return -1.0


def test_it_says_so(parts):
    _, second, (before, _) = parts
    told = [event.message for event in second.events("reference")]
    assert f"the session goes on from {before.path.name}" in told


def test_no_frame_waits_for_a_reference(parts):
    _, second, (_, after) = parts
    assert second.health().state != "calibrating"
    first_frame = N_BEFORE + 1
    assert after.frames["frame"].tolist() == list(
        range(first_frame, first_frame + N_AFTER)
    )


def test_encoder_frames_are_counted_from_the_sessions_beginning(parts):
    _, _, (before, after) = parts
    assert before.activity["index"][0] == 0
    newest = before.frames["frame"][-1]
    assert newest <= after.activity["index"][0] + 1 <= newest + 2


def test_the_baseline_is_kept(parts):
    """The same twenty images come round and round: they must read alike."""
    _, _, (before, after) = parts
    old, new = before.frames.values()[-20:, 2], after.frames.values()[:20, 2]
    assert np.abs(new - old).max() < 0.1 * np.ptp(old)


def test_the_field_lies_where_it_lay(parts):
    _, _, (before, after) = parts
    for axis in ("shift_y_px", "shift_x_px"):
        old, new = before.frames[axis][-20:], after.frames[axis][:20]
        np.testing.assert_allclose(new, old, atol=1e-6)


def test_what_traces_are_worth_is_written_for_people(parts):
    _, _, (_, after) = parts
    first, *lines = (after.path / "neurons_plane0.csv").read_text().splitlines()
    assert first == "id,noise,snr,neuropil_coefficient"
    assert [int(line.split(",")[0]) for line in lines] == after.about.roi_ids
    assert all(line.endswith(",0.7") for line in lines)


def test_other_settings_begin_anew(parts, tmp_path):
    _, second, (before, _) = parts
    changed = second.settings.model_copy(update={"traces": TracesSettings(decay_s=0.3)})
    with pytest.raises(UserError, match="under other register or traces settings"):
        load_state(state_file(before.path, 0), changed)


def test_a_state_that_was_cut_off_is_refused_with_a_sentence(parts, tmp_path):
    _, second, (before, _) = parts
    cut = tmp_path / "state_plane0.npz"
    cut.write_bytes(state_file(before.path, 0).read_bytes()[:200])
    with pytest.raises(UserError, match=r"state_plane0\.npz cannot be read"):
        load_state(cut, second.settings)


def test_another_session_is_not_gone_on_with(parts):
    _, _, (_, after) = parts
    folder = after.path.parent
    assert earlier_part(folder, after.about.session, 1) == after.path
    assert earlier_part(folder, "another", 1) is None
    assert earlier_part(folder, after.about.session, 2) is None
