"""The tables of neurons in a dish, as a session opens them for analysis."""

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.session.api import open_session
from tests.support import dish_session as world
from tests.support import recorded_session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return open_session(world.record_dish(tmp_path_factory.mktemp("dish"), 2))


def test_tables_are_data_frames_with_times_numbers_and_words(session):
    pytest.importorskip("pandas")
    counts = session.dish.to_pandas()
    first = counts[counts.plane == 0]
    assert np.diff(first.time_s).tolist() == pytest.approx(
        [world.INTERVAL_S] * (world.N_PICTURES - 1)
    )
    assert first.is_traced.tolist() == [True, False, True, True, True]
    bodies = session.dish_bodies.to_pandas()
    longest = bodies.groupby(["plane", "number"]).length_um.max()
    assert longest.tolist() == [40.0, 0.0, 40.0, 0.0]
    assert bodies.number.dtype == np.int64
    assert session.dish_events.to_pandas().kind.tolist() == ["contact"] * 2
    assert session.dish_contacts["sightings"].tolist() == [1, 1, 2, 2, 3, 3]


def test_every_column_has_a_description_and_positions_have_a_unit(session):
    for table in session.list_tables():
        assert set(table.columns) <= set(table.descriptions)
    assert session.dish_bodies.units["length_um"] == "um"
    assert session.dish.units["time_s"] == "s"


def test_the_list_of_tables_leaves_out_empty_ones(session):
    names = [table.name for table in session.list_tables()]
    dish = ["dish", "dish_bodies", "dish_contacts", "dish_events"]
    assert names == ["frames", "events", *dish]


def test_a_session_without_a_dish_says_so(tmp_path):
    session = open_session(recorded_session.record_session(tmp_path))
    with pytest.raises(UserError, match="not a session of neurons in a dish"):
        session.dish_bodies  # noqa: B018
