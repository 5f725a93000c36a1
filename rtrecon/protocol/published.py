"""Headers of the messages that the daemon publishes.

Socket: PUB, three parts [topic][header][payload]; the topic is the header's `type`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rtrecon.protocol.behavior import NO_BEHAVIOR, BehaviorValues
from rtrecon.protocol.dish_messages import (
    DishBodies,
    DishContacts,
    DishCounts,
    DishTrace,
)
from rtrecon.protocol.fields import Count, describe
from rtrecon.protocol.published_header import PublishedHeader
from rtrecon.stimulus_space.space import StimulusSpace

ProcessName = Literal["daemon", "inverter", "closed_loop", "calibrator"]


class FieldImage(PublishedHeader, frozen=True, tag="field"):
    """The registered field of view, downsampled: payload uint8 [lines, pixels]."""

    frame: Annotated[int, describe("The microscope's counter of this frame.")]
    shape: Annotated[tuple[int, int], describe("Size of the payload.", "px")]
    shift_px: Annotated[
        tuple[float, float],
        describe("[y, x] displacement of the frame from the template.", "camera px"),
    ]
    confidence: Annotated[
        float, describe("Height of the registration's correlation peak.")
    ]
    downsampling: Annotated[
        int, describe("Camera pixels per pixel of the payload, along each side.", "px")
    ] = 1
    plane: Annotated[int, describe("Index of the plane, from 0.")] = 0
    rejection_reason: Annotated[
        str, describe("Why the frame was rejected; empty if it was accepted.")
    ] = ""
    z_offset: Annotated[
        float | None,
        describe(
            "How much deeper than the reference the frame lies; null without a stack.",
            "um, or planes of the stack if its spacing is unknown",
        ),
    ] = None
    z_offset_sd: Annotated[
        float | None,
        describe("Standard deviation of `z_offset`; null without a stack.", "same"),
    ] = None


class Activity(PublishedHeader, frozen=True, tag="activity"):
    """Activity at one encoder frame: payload float32 [neurons], NaN where missing."""

    encoder_frame: Annotated[
        int, describe("Encoder frame since the session's first microscope frame.")
    ]
    frame: Annotated[int, describe("Newest microscope frame in this encoder frame.")]
    t_frame: Annotated[
        float,
        describe("When `frame` was received, on the daemon's wall clock.", "s"),
    ]
    behavior: Annotated[
        BehaviorValues,
        describe(
            "[pupil dilation, running speed, pupil x, pupil y]; null where not "
            "measured.",
            "as in training",
        ),
    ] = NO_BEHAVIOR
    is_backlog: Annotated[
        bool,
        describe(
            "Whether the frame was queued until a reference existed; its latency then "
            "means nothing."
        ),
    ] = False
    t_newest_frame: Annotated[
        float | None,
        describe(
            "When the newest frame used was received. Deconvolution looks ahead, so "
            "this can be later than `t_frame`.",
            "s",
        ),
    ] = None


class Movie(PublishedHeader, frozen=True, tag="movie"):
    """Reconstructed frames, newest last: payload uint8 [n, height, width]."""

    encoder_frame: Annotated[int, describe("Encoder frame of the newest image.")]
    n_final: Annotated[
        int, describe("How many of the first images will not change again.", "images")
    ]
    lag_s: Annotated[float, describe("Age of the newest final image.", "s")]
    shape: Annotated[
        tuple[int, int, int], describe("Size of the payload: [n, height, width].")
    ]
    n_steps: Annotated[int, describe("Optimiser steps done in this hop.", "steps")]
    t_frame: Annotated[
        float,
        describe(
            "When the newest microscope frame used was received, on the daemon's wall "
            "clock.",
            "s",
        ),
    ]
    information_fraction: Annotated[
        list[float] | None,
        describe(
            "For each image, the share of the evidence that is present, 0 to 1. It is "
            "lower for the newest images and where activity was lost."
        ),
    ] = None
    stimulus_space: Annotated[
        StimulusSpace | None,
        describe("What an image is: axes, rate and quantity; null for a movie."),
    ] = None


class AlignedStimulus(PublishedHeader, frozen=True, tag="aligned_stimulus"):
    """The stimulus at one encoder frame: payload uint8 [height, width]."""

    encoder_frame: Annotated[int, describe("Encoder frame.")]
    clip: Annotated[str, describe("Name of the stimulus movie.")]
    shape: Annotated[tuple[int, int], describe("Size of the payload.", "px")]


class HeldOutPrediction(msgspec.Struct, frozen=True):
    """Activity of some held-out neurons as the reconstructed movie predicts it."""

    encoder_frame: Annotated[
        int, describe("Encoder frame of the first row of `predicted`.")
    ]
    neurons: Annotated[
        list[Count], describe("Indices of the neurons in the activity payload.")
    ]
    predicted: Annotated[
        list[list[float]],
        describe("Per encoder frame, a value per neuron.", "as the activity"),
    ]


class Quality(PublishedHeader, frozen=True, tag="quality"):
    """Quality of the reconstruction: payload float32 identifiability map, or empty."""

    encoder_frame: Annotated[int, describe("Newest encoder frame judged.")]
    lag_s: Annotated[float, describe("Age of the frames judged.", "s")]
    metrics: Annotated[
        dict[str, float],
        describe(
            "Value of each live metric by name, of its null as `null_<name>` (the same "
            "inversion with permuted neurons), and of a still movie, the mean of the "
            "training movies, as `mean_frame_<name>`; a value that is unknown is left "
            "out. `activity_correlation`: predicted and recorded activity of held-out "
            "neurons; `visual_field_correlation`: movie and stimulus where the neurons "
            "look; `pixel_correlation`: on the whole screen; for others see "
            "docs/algorithms/quality.md."
        ),
    ] = msgspec.field(default_factory=dict)
    metrics_by_lag: Annotated[
        dict[str, dict[str, float]],
        describe("For some metrics, the value by age of the images.", "keys: age in s"),
    ] = msgspec.field(default_factory=dict)
    evidence_age_s: Annotated[
        float | None,
        describe(
            "Age of the newest finite activity of a held-out neuron that entered the "
            "metrics; 0 while activity arrives, null before the first.",
            "s",
        ),
    ] = None
    held_out: Annotated[
        HeldOutPrediction | None,
        describe("Predicted activity of some of the held-out neurons."),
    ] = None
    shape: Annotated[
        tuple[int, int] | None,
        describe("Size of the payload [height, width]; null without a map.", "px"),
    ] = None
    visual_field: Annotated[
        list[Count] | None,
        describe(
            "The pixels of the map where the neurons look, as lengths of runs row by "
            "row: pixels outside, inside, outside, ...; null without a map.",
            "px",
        ),
    ] = None


class Spread(PublishedHeader, frozen=True, tag="spread"):
    """How sure the movie is: payload uint8 [ages + 1, height, width], gray levels.

    The payload is the standard deviation of each pixel: of the newest `hop_frames`
    images, of those before them, and so on to the final ones; and last, what it would
    be without any activity.
    """

    encoder_frame: Annotated[int, describe("Newest encoder frame that it is made of.")]
    hop_frames: Annotated[int, describe("Images from one age to the next.", "images")]
    shape: Annotated[
        tuple[int, int, int], describe("Size of the payload.", "[ages + 1, px, px]")
    ]
    sd: Annotated[
        float,
        describe(
            "Standard deviation of the final images where the neurons look; 68 % of "
            "the pixels lie nearer to the movie than this.",
            "gray levels",
        ),
    ]
    data_share: Annotated[
        float,
        describe(
            "Share of the variance of the final images that the activity decides, 0 to "
            "1, where the neurons look; the prior decides the rest."
        ),
    ]


class Calibration(PublishedHeader, frozen=True, tag="calibration"):
    """How far the encoder is that is trained in this session; no payload.

    All scores are of clips that were kept out of the training.
    """

    stage: Annotated[
        str,
        describe(
            "What the calibrator does: `gathering` minutes, `training`, `judging`, or "
            "`complete` when it takes no further minute."
        ),
    ]
    minutes: Annotated[
        float, describe("Activity with a known stimulus so far.", "minutes")
    ]
    n_neurons: Annotated[int, describe("Neurons of the session.")]
    n_responsive: Annotated[
        int | None,
        describe("Neurons whose activity the encoder predicts; null before it is."),
    ] = None
    response_r: Annotated[
        float | None,
        describe("Correlation of predicted and recorded activity, mean over neurons."),
    ] = None
    ceiling_share: Annotated[
        float | None,
        describe(
            "`response_r` of the responsive neurons, divided by what a perfect encoder "
            "would reach; null unless clips were shown twice."
        ),
    ] = None
    movie_r: Annotated[
        float | None,
        describe("Correlation of movie and stimulus where the neurons look."),
    ] = None
    null_movie_r: Annotated[
        float | None, describe("The same for a movie from exchanged neurons.")
    ] = None
    n_encoders: Annotated[
        int, describe("Encoders handed to the inverter in this session so far.")
    ] = 0
    missing: Annotated[
        str, describe("What the next step needs, a sentence; empty if nothing.")
    ] = ""
    n_following: Annotated[
        int | None,
        describe(
            "Neurons, of at most 300, that follow the stimulus at a lag from -1 to "
            "2 s; null before 1.5 minutes."
        ),
    ] = None
    lag_s: Annotated[
        float | None,
        describe("How late they follow it; null if they do not, or not yet.", "s"),
    ] = None
    lag_error_s: Annotated[
        float | None, describe("Standard error of `lag_s`.", "s")
    ] = None
    drift_s: Annotated[
        float | None,
        describe("How much later in the second half of these minutes.", "s"),
    ] = None
    drift_error_s: Annotated[
        float | None, describe("Standard error of `drift_s`.", "s")
    ] = None
    warning: Annotated[
        str,
        describe(
            "What the comparison of activity and stimulus shows to be wrong, with the "
            "likely cause, a sentence; empty if nothing."
        ),
    ] = ""


class LatencyPercentiles(msgspec.Struct, frozen=True):
    """Distribution of a latency."""

    p50: Annotated[float, describe("Median.", "ms")]
    p95: Annotated[float, describe("95th percentile.", "ms")]
    p99: Annotated[float, describe("99th percentile.", "ms")]
    max: Annotated[float, describe("Maximum.", "ms")]
    n: Annotated[int, describe("Number of samples.")]


class GapCounts(msgspec.Struct, frozen=True):
    """What was lost, by the place where it was lost."""

    network: Annotated[
        int, describe("Messages lost on the way: gaps in `seq`.", "messages")
    ] = 0
    source: Annotated[
        int,
        describe(
            "Frames lost before they were sent: gaps in `frame`, none in `seq`.",
            "frames",
        ),
    ] = 0
    repeated: Annotated[
        int,
        describe("Frames with a repeated number (fast-z flyback), ignored.", "frames"),
    ] = 0


class Health(PublishedHeader, frozen=True, tag="health"):
    """State of one process, about once a second."""

    process: Annotated[ProcessName, describe("The process that reports.")]
    state: Annotated[
        str, describe("One word, such as waiting, calibrating, running or idle.")
    ]
    rate_hz: Annotated[float, describe("Frames processed per second.", "Hz")] = 0.0
    frames_sent: Annotated[
        int | None,
        describe("As the sender counts them; null until it has ended.", "frames"),
    ] = None
    frames_received: Annotated[int, describe("In this session.", "frames")] = 0
    frames_processed: Annotated[int, describe("In this session.", "frames")] = 0
    rejected_messages: Annotated[
        int, describe("Refused in this session, of all senders.", "messages")
    ] = 0
    gaps: Annotated[GapCounts, describe("Losses on the way to the daemon.")] = (
        GapCounts()
    )
    latency_ms: Annotated[
        dict[str, LatencyPercentiles], describe("Latencies by name.", "ms")
    ] = msgspec.field(default_factory=dict)
    queue_depth: Annotated[
        dict[str, int], describe("Messages queued, by queue.", "messages")
    ] = msgspec.field(default_factory=dict)
    lost: Annotated[
        dict[str, int], describe("Messages dropped, by place.", "messages")
    ] = msgspec.field(default_factory=dict)
    rejected_frames: Annotated[
        dict[str, int],
        describe("Frames rejected by quality control, by reason.", "frames"),
    ] = msgspec.field(default_factory=dict)
    pictures: Annotated[
        dict[str, int],
        describe(
            "Pictures of the stimulus: `judged` by a photodiode, and of these `without "
            "edge`, which the screen did not show in time; empty without a photodiode.",
            "pictures",
        ),
    ] = msgspec.field(default_factory=dict)
    deadline_misses: Annotated[
        int, describe("Hops that ended after their deadline.", "hops")
    ] = 0
    steps_per_hop: Annotated[
        float, describe("Mean number of optimiser steps per hop.", "steps")
    ] = 0.0
    realtime_factor: Annotated[
        float, describe("Speed of processing over that of acquisition; 1 keeps up.")
    ] = 0.0
    memory_mb: Annotated[float, describe("Resident memory now.", "MB")] = 0.0
    peak_memory_mb: Annotated[float, describe("Resident memory at most.", "MB")] = 0.0
    frame_interval_s: Annotated[
        float | None,
        describe(
            "Time between two frames (volumes): as announced, or as measured where "
            "that was wrong; null without a session.",
            "s",
        ),
    ] = None
    disk_free_gb: Annotated[
        float | None,
        describe("Free space where recordings go; null if not recording.", "GB"),
    ] = None
    has_inverter: Annotated[
        bool,
        describe("Whether this daemon has an encoder, and so publishes a movie."),
    ] = True
    conditions: Annotated[
        dict[str, str],
        describe(
            "What is wrong now and until it is over: a sentence by name. Names: "
            "`no-go`, `not recording`, `stimulus gone`, `pupil gone`, `running gone`, "
            "`field lost`, `detector offset`, `frames lost`, `stimulus lag`."
        ),
    ] = msgspec.field(default_factory=dict)


class AcquisitionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule asks the program that acquires for, and how much light it may add."""

    output: Annotated[str, describe("Name of the output in the settings.")]
    light_budget_s: Annotated[
        float,
        describe("Exposure that all requests may add at any stage position.", "s"),
    ]
    refractory_s: Annotated[
        float, describe("Shortest time between two requests of this output.", "s")
    ]
    interval_s: Annotated[
        float | None, describe("Image so often for `duration_s`; null = once.", "s")
    ] = None
    duration_s: Annotated[
        float | None, describe("How long; null without an interval.", "s")
    ] = None
    channel: Annotated[str, describe("Image this channel, too; empty = none.")] = ""
    position: Annotated[str, describe("Stage position to image; empty = all.")] = ""
    refocus: Annotated[
        bool, describe("Whether to search for the sharpest plane first.")
    ] = False


class Event(PublishedHeader, frozen=True, tag="event"):
    """Something happened that a person or a program may act on."""

    name: Annotated[str, describe("Kind of event, one word.")]
    message: Annotated[str, describe("What happened, a sentence.")] = ""
    rule: Annotated[
        str, describe("Name of the closed-loop rule; empty for other events.")
    ] = ""
    value: Annotated[
        float | None, describe("The value that the rule compared; else null.")
    ] = None
    frame: Annotated[
        int | None, describe("The microscope frame concerned; else null.")
    ] = None
    t_frame: Annotated[
        float | None,
        describe("When the newest frame known to the rule was received.", "s"),
    ] = None
    dry_run: Annotated[
        bool, describe("Whether the rule only reports and drives no output.")
    ] = False
    clip: Annotated[
        str,
        describe(
            "For the event `next_clip`: the stimulus movie to show after the present "
            "one, named as in stimulus messages; empty for other events."
        ),
    ] = ""
    requests: Annotated[
        list[AcquisitionRequest],
        describe("What the rule asks the program that acquires for."),
    ] = msgspec.field(default_factory=list)


PublishedMessage = (
    FieldImage
    | Activity
    | Movie
    | AlignedStimulus
    | Quality
    | Spread
    | Calibration
    | DishCounts
    | DishBodies
    | DishContacts
    | DishTrace
    | Health
    | Event
)
TOPICS = (
    "field",
    "activity",
    "movie",
    "aligned_stimulus",
    "quality",
    "spread",
    "calibration",
    "dish",
    "bodies",
    "contacts",
    "trace",
    "health",
    "event",
)
