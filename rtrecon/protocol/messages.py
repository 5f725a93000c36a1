"""All messages of the protocol: headers as structs, and their encoding.

`incoming` holds what senders send, `published` what the daemon publishes, `codec` turns
both into bytes. The rest of the project imports them from here.
"""

from __future__ import annotations

from rtrecon.protocol.codec import (
    MAX_HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    UNIT_ID_DTYPE,
    WireError,
    decode_incoming,
    decode_published,
    encode_incoming,
    encode_published,
    find_frame_session,
    message_type,
    read_start_session,
)
from rtrecon.protocol.dish_messages import (
    DishBodies,
    DishContacts,
    DishCounts,
    DishTrace,
    NeuronFigures,
)
from rtrecon.protocol.fields import PIXEL_DTYPES, RATE_DTYPE, MessageHeader
from rtrecon.protocol.incoming import (
    BehaviorSample,
    Frame,
    IncomingMessage,
    SessionEnd,
    SessionStart,
    StimulusFrame,
    SyncEdge,
)
from rtrecon.protocol.published import (
    TOPICS,
    AcquisitionRequest,
    Activity,
    AlignedStimulus,
    Calibration,
    Event,
    FieldImage,
    GapCounts,
    Health,
    HeldOutPrediction,
    LatencyPercentiles,
    Movie,
    ProcessName,
    PublishedMessage,
    Quality,
    Spread,
)
from rtrecon.protocol.published_header import PublishedHeader

__all__ = [
    "MAX_HEADER_BYTES",
    "MAX_PAYLOAD_BYTES",
    "PIXEL_DTYPES",
    "RATE_DTYPE",
    "TOPICS",
    "UNIT_ID_DTYPE",
    "AcquisitionRequest",
    "Activity",
    "AlignedStimulus",
    "BehaviorSample",
    "Calibration",
    "DishBodies",
    "DishContacts",
    "DishCounts",
    "DishTrace",
    "Event",
    "FieldImage",
    "Frame",
    "GapCounts",
    "Health",
    "HeldOutPrediction",
    "IncomingMessage",
    "LatencyPercentiles",
    "MessageHeader",
    "Movie",
    "NeuronFigures",
    "ProcessName",
    "PublishedHeader",
    "PublishedMessage",
    "Quality",
    "SessionEnd",
    "SessionStart",
    "Spread",
    "StimulusFrame",
    "SyncEdge",
    "WireError",
    "decode_incoming",
    "decode_published",
    "encode_incoming",
    "encode_published",
    "find_frame_session",
    "message_type",
    "read_start_session",
]
