"""A daemon traces a simulated dish: wire, recording, restart after a kill, rules."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import ClosedLoopSettings, LiveDishSettings, RuleSettings
from rtrecon.core.errors import UserError
from rtrecon.diagnostics.preflight import run_preflight
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.registration.film_registrar import FilmRegistrar
from rtrecon.protocol import messages
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS, NOT_CLAIMED
from rtrecon.replay.published_messages import iterate_messages
from rtrecon.replay.rule_trial import try_rules
from rtrecon.session.api import open_session
from rtrecon.session.resume_state import get_state_path
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from rtrecon.testing.daemon_process import DaemonProcess, make_settings
from rtrecon.transport.rpc import RpcError
from rtrecon.transport.senders import SessionSender

SCENE = DishScene(seed=3, side_px=256, n_neurons=6, n_frames=24, n_bad_frames=1)
N_BEFORE = 14
RULE = RuleSettings(name="touch", when="dish.contacts > 0")
LONG = RuleSettings(name="long", when="dish.neuron[1].length_um > 1")


@pytest.fixture(scope="module")
def film():
    return list(film_dish(SCENE))


class Scope:
    """Sends the film of the dish, as a time-lapse of one frame in ten minutes."""

    def __init__(self, daemon: DaemonProcess, film, **start) -> None:
        self.film, self.n_sent = film, 0
        start = {"meta": {"um_per_px": SCENE.um_per_px}} | start
        self.sender = SessionSender(
            daemon.settings.network.frames,
            source="a dish",
            rate_hz=1 / SCENE.interval_s,
            shape=film[0].image.shape,
            dtype="uint16",
            can_wait=True,
            **start,
        )
        self.sender.queue_timeout_s = 20.0
        assert self.sender.wait_for_daemon()

    def __enter__(self) -> Scope:
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()

    def send(self, count: int) -> None:
        for frame in self.film[self.n_sent : self.n_sent + count]:
            self.n_sent += 1
            self.sender.send_frame(frame.image, self.n_sent, frame.t_s)


def wait_until_processed(daemon: DaemonProcess, count: int) -> None:
    daemon.wait_until(lambda: daemon.newest_health().frames_processed >= count, 60.0)


def read_newest_time(path: Path) -> float:
    with contextlib.suppress(OSError, ValueError), np.load(path) as arrays:
        return float(arrays["times_s"][1])
    return -1.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory, film, expected):
    """(killed daemon, next daemon, its recordings) of one session."""
    folder = tmp_path_factory.mktemp("dish")
    settings = make_settings(
        folder,
        dish=LiveDishSettings(enabled=True),
        closed_loop=ClosedLoopSettings(rules=[RULE, LONG]),
    )
    with DaemonProcess(folder, settings) as first, Scope(first, film) as scope:
        scope.send(N_BEFORE)
        wait_until_processed(first, N_BEFORE)
        session = scope.sender.session
        (record,) = first.recordings(session)
        kept, newest_s = get_state_path(record.path, 0), film[N_BEFORE - 1].t_s
        first.wait_until(lambda: read_newest_time(kept) == newest_s)
        n_events = sum(len(picture.events) for picture in expected[:N_BEFORE])

        def is_on_disk() -> bool:
            (recording,) = first.recordings(session)  # anew: it reads its tables once
            bodies = recording.dish_bodies["picture"]
            return (
                len(recording.dish_traces) == len(recording.frames) == N_BEFORE
                and bodies[-1:].tolist() == [N_BEFORE - 1]
                and len(recording.dish_events) == n_events
            )

        first.wait_until(is_on_disk)
        first.kill()
        with DaemonProcess(folder, settings) as second:
            n_after = len(film) - N_BEFORE
            scope.send(n_after)
            wait_until_processed(second, n_after)
            scope.sender.send_end("over")
            second.wait_until(lambda: second.newest_health().state == "idle")
            assert second.call("stop")["ok"]
            second.process.wait()
            yield first, second, second.recordings(session)


@pytest.fixture(scope="module")
def expected(film):
    """What one tracker finds in the whole film, without a daemon."""
    settings = LiveDishSettings().describe_film(SCENE.um_per_px, SCENE.interval_s)
    registrar, tracker = FilmRegistrar(), DishTracker(settings)
    found = []
    for frame in film:
        picture = registrar.register(frame.image)
        found.append(tracker.process_frame(picture.image, picture.is_valid, frame.t_s))
    return found


def test_the_counts_of_every_picture_are_published_and_recorded(parts, expected):
    first, second, recordings = parts
    published = [
        message
        for daemon in (first, second)
        for message in daemon.messages_of(messages.DishCounts)
    ]
    assert [m.picture for m in published] == list(range(len(expected)))
    rows = [len(recording.dish) for recording in recordings]
    assert rows == [N_BEFORE, len(expected) - N_BEFORE]
    assert recordings[0].about.dish.um_per_px == SCENE.um_per_px
    for message, picture in zip(published[:N_BEFORE], expected, strict=False):
        assert message.bodies == picture.figures.n_bodies
        assert message.contacts == picture.figures.n_contacts
        assert message.length_mm == pytest.approx(picture.figures.length_um / 1000)
        assert message.is_traced == picture.is_traced
    for name in ("bodies", "contacts"):
        recorded = np.concatenate([r.dish[name] for r in recordings])
        assert recorded.tolist() == [getattr(m, name) for m in published]


def test_the_numbers_of_the_neurons_go_on_after_a_kill(parts, expected):
    _, second, _ = parts
    tables = {
        message.picture: table
        for message, table in second.received
        if isinstance(message, messages.DishBodies)
    }
    number = BODY_COLUMNS.index("number")
    for picture, table in tables.items():
        found = sorted(table.reshape(-1, len(BODY_COLUMNS))[:, number].tolist())
        assert found == sorted(expected[picture].bodies["number"].tolist())


def test_tables_and_owners_are_those_of_the_tracing(parts, expected):
    first, _, recordings = parts
    for message, payload in first.received:
        if isinstance(message, messages.DishContacts) and payload.size:
            contacts = expected[message.picture].contacts
            assert message.columns == CONTACT_COLUMNS
            np.testing.assert_allclose(payload[:, 1], contacts["y"], atol=1e-3)
        if isinstance(message, messages.DishTrace):
            picture = expected[message.picture]
            owners = np.where(picture.is_claimed, picture.owners, NOT_CLAIMED)
            np.testing.assert_array_equal(payload, owners)
    recorded = recordings[0].dish_traces.read_values(0, N_BEFORE)
    for owners, picture in zip(recorded, expected, strict=False):
        claimed = np.where(picture.is_claimed, picture.owners, NOT_CLAIMED)
        np.testing.assert_array_equal(owners, claimed)
    view = recordings[0].dish.read_values(0, 1)[0]
    assert view.shape == recordings[0].about.dish.view_shape
    assert np.ptp(view) > 200
    n_bodies = sum(len(p.bodies) for p in expected[:N_BEFORE] if p.is_traced)
    assert len(recordings[0].dish_bodies) == n_bodies


def test_the_tables_are_data_frames(parts, expected):
    pytest.importorskip("pandas")
    _, _, (before, _) = parts
    session = open_session(before.path)
    bodies = session.dish_bodies.to_pandas()
    newest = bodies[bodies.picture == N_BEFORE - 1].set_index("number")
    for body in expected[N_BEFORE - 1].bodies:
        row = newest.loc[body["number"]]
        assert row.length_um == pytest.approx(body["length_um"])
    assert session.dish["contacts"][-1] == expected[N_BEFORE - 1].figures.n_contacts
    assert len(session.dish_contacts) == len(before.dish_contacts)
    assert session.dish_events.columns[-2:] == ["first", "second"]


def test_events_are_published_recorded_and_logged(parts, expected):
    first, _, recordings = parts
    kinds = recordings[0].about.dish.event_kinds
    events = [(e.kind.value, p.frame) for p in expected[:N_BEFORE] for e in p.events]
    assert events
    recorded = recordings[0].dish_events
    found = zip(recorded["kind"], recorded["picture"], strict=True)
    assert [(kinds[int(kind)], int(picture)) for kind, picture in found] == events
    published = [
        (event.name, event.frame - 1)
        for event in first.messages_of(messages.Event)
        if event.name in kinds
    ]
    assert published == events
    sentences = [e.describe() for p in expected[:N_BEFORE] for e in p.events]
    assert sentences[0] in first.output


def test_rules_read_the_counts_and_single_neurons(parts, expected):
    first, second, _ = parts
    fired = [
        event.rule
        for daemon in (first, second)
        for event in daemon.messages_of(messages.Event)
        if event.name == "rule_fired"
    ]
    assert ("touch" in fired) == any(p.figures.n_contacts for p in expected)
    assert "long" in fired


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("no_rules")
    settings = make_settings(folder, dish=LiveDishSettings(enabled=True))
    with DaemonProcess(folder, settings) as daemon:
        yield daemon


def test_masks_are_the_owners_of_the_newest_picture(daemon, film):
    with Scope(daemon, film, planes=[0.0, 0.0]) as scope:
        for plane in (0, 1):
            scope.sender.send_frame(film[0].image, 1, 0.0, plane=plane)
        wait_until_processed(daemon, 2)
        reply = daemon.call("masks")
        assert reply["masks"] == [2, *film[0].image.shape]
    planes = {m.plane for m in daemon.messages_of(messages.DishCounts)}
    assert planes == {0, 1}


def wait_for_owners(daemon: DaemonProcess, session: str, count: int) -> np.ndarray:
    """Wait until so many pictures of a session are traced; return the last owners."""

    def list_owners() -> list[np.ndarray]:
        return [
            payload
            for message, payload in daemon.received
            if isinstance(message, messages.DishTrace) and message.session == session
        ]

    daemon.wait_until(lambda: len(list_owners()) >= count, 60.0)
    return list_owners()[count - 1]


def test_a_reassigned_neurite_is_remembered_and_recorded(daemon, film, expected):
    with Scope(daemon, film) as scope:
        session = scope.sender.session
        scope.send(N_BEFORE)
        before = wait_for_owners(daemon, session, N_BEFORE)
        bodies = expected[N_BEFORE - 1].bodies
        giver, taker = bodies[np.argsort(bodies["length_um"])[[-1, 0]]]["number"]
        at = np.argwhere((before == giver) & ~expected[N_BEFORE - 1].is_body)
        body = bodies[bodies["number"] == giver][0]
        y, x = at[np.argmax(np.hypot(*(at - [body["y"], body["x"]]).T))].tolist()
        reply = daemon.call("reassign", y=y, x=x, neuron=int(taker))
        assert reply["sentence"] == (
            f"neuron {taker} gets the neurite at y = {y}, x = {x} from the next "
            "picture on"
        )
        scope.send(1)
        after = wait_for_owners(daemon, session, N_BEFORE + 1)
        after = after[y - 4 : y + 5, x - 4 : x + 5]
        assert np.sum(after == taker) > np.sum(after == giver)
        for place, words in (
            ({"y": 0.0, "x": 0.0, "neuron": int(taker)}, "no neurite at this position"),
            ({"y": y, "x": x, "neuron": 999}, "no neuron 999"),
            ({"y": y, "x": x, "plane": 3}, "has 1 stage positions"),
        ):
            with pytest.raises(RpcError, match=words):
                daemon.call("reassign", **place)
    [event] = daemon.events_named("reassigned")
    assert event.message == reply["sentence"]


def ask_for_preview(daemon: DaemonProcess, **settings: float) -> dict:
    while True:
        reply = daemon.call("preview", **settings)
        if not reply.get("is_pending"):
            return reply


def test_other_settings_are_previewed_on_the_newest_picture(daemon, film):
    with Scope(daemon, film) as scope:
        scope.send(N_BEFORE)
        wait_for_owners(daemon, scope.sender.session, N_BEFORE)
        usual = ask_for_preview(daemon, body_um=12.0, sensitivity=1.0)
        eager = ask_for_preview(daemon, body_um=12.0, sensitivity=3.0)
        fresh = DishTracker(
            LiveDishSettings().describe_film(SCENE.um_per_px, SCENE.interval_s)
        ).process_frame(film[N_BEFORE - 1].image)
        assert abs(len(usual["bodies"]) - len(fresh.bodies)) <= 1
        assert usual["sentence"].startswith("body_um = 12, sensitivity = 1: ")
        assert len(eager["bodies"]) >= len(usual["bodies"])
        assert usual["shape"] == list(film[0].image.shape)
        for settings, words in (
            ({"body_um": 12.0, "sensitivity": 9.0}, "dish.sensitivity = 9.0"),
            ({"body_um": 0.5, "sensitivity": 1.0}, "the picture cannot be traced"),
            ({"body_um": 12.0, "sensitivity": 1.0, "plane": 2}, "no such picture"),
        ):
            with pytest.raises(RpcError, match=words):
                ask_for_preview(daemon, **settings)


def test_a_session_without_a_scale_is_refused_with_what_to_do(daemon, film):
    with Scope(daemon, film, meta={}):
        daemon.wait_until(lambda: daemon.events_named("refused"))
        [event] = daemon.events_named("refused")
        assert "set dish.um_per_px, or give --scale-um" in event.message


def test_rules_can_be_tried_on_the_recording(parts):
    first, second, recordings = parts
    for recording in recordings:
        published = [
            message
            for daemon in (first, second)
            for message in daemon.messages_of(messages.DishCounts)
        ]
        for message, _ in iterate_messages(recording, "dish"):
            same = published[message.picture]
            assert message.neuron.keys() == same.neuron.keys()
            for name in ("contacts", "new_contacts", "is_out_of_focus", "frame"):
                assert getattr(message, name) == getattr(same, name)
            assert message.length_mm_per_mm2 == pytest.approx(same.length_mm_per_mm2)
    tried = [trial for r in recordings for trial in try_rules(r.path)]
    assert {trial.rule.name for trial in tried} == {"touch", "long"}
    with pytest.raises(UserError, match="rules on activity"):
        list(iterate_messages(recordings[0], "bodies"))


def test_check_describes_a_dish_and_times_its_tracing(tmp_path):
    settings = make_settings(tmp_path, dish=LiveDishSettings(enabled=True))
    sentences = list(run_preflight(settings))
    assert sentences[0].startswith("neurons in a dish: traced in each picture")
    assert any("ms per picture of 512 x 512" in sentence for sentence in sentences)
    [space] = [s for s in sentences if s.startswith("recording: ")]
    assert "kB per second" in space
