"""A session of neurons in a dish is exported as NWB, tables, trees, graph, video."""

from __future__ import annotations

import csv

import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO

from rtrecon.export.nwb_export import ExportRequest, export_nwb
from rtrecon.sources.video import read_clip
from tests.support import dish_session as world
from tests.support.command_line import run_here
from tests.support.recorded_session import EXPERIMENT, SUBJECT

# What NWB Inspector doubts, and is so: five pictures, one in ten minutes.
OF_A_SHORT_TIME_LAPSE = ("check_data_orientation", "check_rate_not_below_threshold")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return world.record_dish(tmp_path_factory.mktemp("dish"), n_planes=2)


@pytest.fixture(scope="module")
def result(session, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "dish.nwb"
    request = ExportRequest(
        session,
        out,
        subject=SUBJECT.model_dump(),
        experiment=EXPERIMENT.model_dump(),
    )
    return export_nwb(request)


@pytest.fixture(scope="module")
def file(result):
    with NWBHDF5IO(result.path, "r") as disk:
        yield disk.read()


def test_nwb_s_own_tools_accept_the_file(result):
    assert result.notices == []
    assert not pynwb.validate(path=str(result.path))
    severe = [
        message
        for message in inspect_nwbfile(nwbfile_path=str(result.path))
        if message.importance != Importance.BEST_PRACTICE_SUGGESTION
        and message.check_function_name not in OF_A_SHORT_TIME_LAPSE
    ]
    assert severe == []


def test_tables_hold_what_was_recorded_with_units_and_descriptions(file):
    dish = file.processing["dish"]
    bodies = dish["dish_bodies"]
    data = bodies.to_dataframe()
    longest = data.groupby(["plane", "number"]).length_um.max()
    assert longest.tolist() == [40.0, 0.0, 40.0, 0.0]
    assert bodies["length_um"].description == "Length of its neurites, in um."
    counts = dish["dish"].to_dataframe()
    assert counts.is_traced.tolist() == [True, True, False, False] + [True] * 6
    steps_s = np.diff(counts.time_s[counts.plane == 1])
    assert steps_s.tolist() == pytest.approx([world.INTERVAL_S] * 4)
    assert dish["dish_events"].to_dataframe().kind.tolist() == ["contact"] * 2
    assert len(dish["dish_contacts"]) == 6


def test_pictures_and_owners_are_series_of_each_position(file):
    dish = file.processing["dish"]
    for plane in (0, 1):
        owners = dish[f"owners_plane{plane}"]
        assert owners.data.dtype == np.uint16
        for i in range(world.N_PICTURES):
            np.testing.assert_array_equal(owners.data[i].T, world.draw_owners(i))
        assert 1 / owners.rate == pytest.approx(world.INTERVAL_S)
        pictures = dish[f"pictures_plane{plane}"]
        assert pictures.data[:, 0, 0].tolist() == list(range(world.N_PICTURES))
        shifts = dish[f"xy_translation_plane{plane}"]
        assert shifts.data[:].tolist() == [[-1.0, 0.5]] * world.N_PICTURES


def test_the_command_writes_tables_trees_graph_and_video(session, tmp_path):
    done = run_here(
        *("export", session, "--csv", tmp_path / "tables", "--position", 2),
        *("--swc", tmp_path / "trees", "--graphml", tmp_path / "touches.graphml"),
        *("--video", tmp_path / "film.mp4"),
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "tables" / "dish_bodies.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert float(rows[-2]["length_um"]) == 40.0
    trees = sorted(path.name for path in (tmp_path / "trees").iterdir())
    last = world.N_PICTURES - 1
    assert trees == [f"neuron_{n:03d}_frame_{last:04d}.swc" for n in (1, 2)]
    assert "n_contacts" in (tmp_path / "touches.graphml").read_text()
    film = read_clip(tmp_path / "film.mp4", (40, 60), rate_hz=10.0)
    assert abs(len(film) - world.N_PICTURES) <= 1
    assert film.std() > 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nothing to write"),
        (("--video", "a.mp4", "--position", 3), "has 2 stage positions"),
    ],
)
def test_mistakes_are_error_sentences(session, options, words):
    done = run_here("export", session, *options)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
