"""Frames that are no pictures are drawn over time, at the rate of their space."""

from __future__ import annotations

import msgspec
import numpy as np

from rtrecon.display.panel_states.activity import ActivityState
from rtrecon.display.panel_states.held_out import HeldOutState
from rtrecon.display.playback import COURSE_S, Playback
from rtrecon.protocol import messages
from rtrecon.stimulus_space.course import make_course
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO

N_FRAMES, NEWEST = 20, 119


def make_frame(index: int) -> np.ndarray:
    """A frame whose band `index % 24` is loud."""
    frame = np.zeros(SOUND.shape, np.uint8)
    frame[index % 24] = 200
    return frame


def make_hop() -> tuple[messages.Movie, np.ndarray]:
    frames = np.stack([make_frame(i) for i in range(NEWEST + 1 - N_FRAMES, NEWEST + 1)])
    message = messages.Movie(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=NEWEST,
        n_final=10,
        lag_s=0.1,
        shape=frames.shape,
        n_steps=3,
        t_frame=0.0,
        stimulus_space=SOUND,
    )
    return message, frames


def test_a_movie_message_of_a_sound_carries_its_space():
    message, frames = make_hop()
    parts = messages.encode_published(message, frames)
    received, payload = messages.decode_published(parts)
    assert isinstance(received, messages.Movie)
    assert received.stimulus_space == SOUND
    np.testing.assert_array_equal(payload, frames)


def test_the_course_ends_with_the_frame_that_is_shown():
    message, frames = make_hop()
    playback = Playback()
    playback.add_movie(message, frames, 0.0)
    assert playback.span is not None
    assert playback.span.rate_hz == SOUND.rate_hz
    movie, stimulus = playback.make_courses(NEWEST)
    n_columns = round(COURSE_S * SOUND.rate_hz)
    assert movie.shape[1] == stimulus.shape[1] == n_columns
    repeats = movie.shape[0] // 24
    column = movie[::repeats, -1]  # high frequencies above
    assert column.argmax() == 23 - NEWEST % 24
    assert not movie[:, : n_columns - N_FRAMES].any()
    assert not stimulus.any()  # none was received


def test_an_age_counts_the_frames_of_the_space():
    message, frames = make_hop()
    playback = Playback()
    playback.add_movie(message, frames, 0.0)
    moment = playback.moment_at(NEWEST - 10, 0.0)
    assert moment is not None
    assert moment.is_final
    assert moment.age_s == message.lag_s


def test_a_session_of_movies_after_one_of_sounds_is_a_movie_again():
    message, frames = make_hop()
    movie = msgspec.structs.replace(message, stimulus_space=None)
    playback = Playback()
    playback.add_movie(movie, frames, 0.0)
    assert playback.space.is_picture


def find_line(image, column, gray):
    """Return the rows of one gray in a column."""
    return np.flatnonzero(image[:, column] == gray).tolist()


def test_each_whisker_is_a_line_that_goes_up_with_its_angle():
    rest = np.full(TOUCH.shape, 128, np.uint8)
    moved = rest.copy()
    moved[1, 0] = 255  # the angle of the second whisker
    course = make_course([None, rest, moved, moved], TOUCH)
    repeats = course.shape[1] // 4
    assert not course[:, :repeats].any()  # nothing is known of the first frame
    at_rest, rising, above = (
        find_line(course, column * repeats, 255) for column in (1, 2, 3)
    )
    assert len(at_rest) == 24
    assert np.all(np.diff(at_rest) == 16)
    # Up to where the line of the whisker above is.
    assert set(rising) - set(at_rest) == set(range(at_rest[0] + 1, at_rest[1]))
    assert set(at_rest) - set(above) == {at_rest[1]}


def test_the_contact_is_a_darker_line_behind_the_angle():
    frame = np.full(TOUCH.shape, 128, np.uint8)
    frame[2, 1] = 255
    course = make_course([frame], TOUCH)
    assert len(find_line(course, 0, 255)) == 24
    # Its line reaches that of the whisker above, and is hidden by it.
    frame[2, 1] = 192
    course = make_course([frame], TOUCH)
    assert find_line(course, 0, 127) == [find_line(course, 0, 255)[2] - 8]


def test_a_movie_after_a_sound_is_drawn_as_pictures_again():
    """The window stays open while the daemon starts again with another encoder."""
    message, frames = make_hop()
    playback, held_out, activity = Playback(), HeldOutState(), ActivityState()
    for each in (message, msgspec.structs.replace(message, stimulus_space=None)):
        playback.add_movie(each, frames, 0.0)
        held_out.update(each, frames, 0.0)
        activity.update(each, frames, 0.0)
    assert playback.space == VIDEO
    assert held_out.rate_hz == VIDEO.rate_hz
    assert activity.column_s == 1 / VIDEO.rate_hz
