"""The order in which clips are shown."""

from __future__ import annotations

from rtrecon.presenter.playlist import Playlist, PlayOrder

NAMES = ["a", "b", "c", "d", "e", "f"]


def take_all(playlist: Playlist) -> list[str]:
    return list(iter(playlist.take_next, None))


def test_clips_are_shown_as_listed_and_repeated():
    playlist = Playlist(["a", "b", "a"], PlayOrder(repeats=2))
    assert take_all(playlist) == ["a", "b", "a", "a", "b", "a"]


def test_a_seed_gives_the_same_random_order_and_every_repeat_has_all_clips():
    orders = [
        take_all(Playlist(NAMES, PlayOrder(is_random=True, seed=seed, repeats=2)))
        for seed in (3, 3, 4)
    ]
    assert orders[0] == orders[1] != orders[2]
    for order in orders:
        assert sorted(order[:6]) == sorted(order[6:]) == NAMES
        assert order[:6] != order[6:]


def test_no_limit_of_repeats_never_ends():
    playlist = Playlist(["a", "b"], PlayOrder(repeats=0))
    assert [playlist.take_next() for _ in range(100)] == ["a", "b"] * 50


def test_a_requested_clip_comes_next_and_not_twice():
    playlist = Playlist(["a", "b", "c"], PlayOrder())
    assert playlist.take_next() == "a"
    assert playlist.request("c")
    assert take_all(playlist) == ["c", "b"]


def test_a_clip_that_was_shown_is_shown_again_on_request():
    playlist = Playlist(["a", "b"], PlayOrder())
    assert playlist.take_next() == "a"
    assert playlist.request("a")
    assert take_all(playlist) == ["a", "b"]


def test_a_clip_that_does_not_exist_is_not_taken():
    playlist = Playlist(["a"], PlayOrder())
    assert not playlist.request("b")
    assert take_all(playlist) == ["a"]
