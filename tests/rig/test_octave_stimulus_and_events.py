"""The MATLAB stimulus sender and event receiver, run by GNU Octave."""

from __future__ import annotations

import time

import numpy as np
import zmq

from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.publisher import Publisher
from tests.support.octave import (
    MessageCollector,
    read_output,
    require_jeromq,
    start_octave,
)


def test_psychtoolbox_sends_the_time_of_each_stimulus_frame(network):
    collector = MessageCollector(network)
    code = f"""
        clock = @() 100;  % stands still: the image always appeared 0.25 s ago
        rtrecon_stimulus('begin', 'clip', 'clouds', 'address', '{network.tcp}', ...
                         'clock', clock);
        image = reshape(uint8(0:5), 2, 3);
        rtrecon_stimulus('flip', image, 12, 99.75);
        rtrecon_stimulus('flip', cat(3, image, image + 2, image + 1), 13);
        rtrecon_stimulus('end')
    """
    with collector:
        output = collector.collect_until_ended(start_octave(code))
    (first, image), (second, coloured) = collector.received
    assert (first.clip, first.index, second.index) == ("clouds", 12, 13)
    assert image.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert np.array_equal(coloured, image + 1)
    assert 0.2 < second.t_send - first.t_send < 5.0
    assert output == "rtrecon: 2 stimulus frames sent, 0 dropped\n"


def test_matlab_receives_events(network):
    jar = require_jeromq()
    process = start_octave(f"""
        javaaddpath('{jar}');
        act = @(e) printf('%s: %s %g\\n', e.name, e.message, e.value);
        while isempty(rtrecon_events('address', '{network.publish}')), end
        rtrecon_listen(act, 0.5)
    """)
    context = zmq.Context()
    with sockets.bind_socket(context, zmq.PUB, network.publish) as out:
        publisher = Publisher(out)
        while process.poll() is None:
            publisher.publish(
                messages.Quality, encoder_frame=1, lag_s=0.1
            )  # not requested, so not received
            publisher.publish(messages.Event, name="rule", message="lick", value=0.5)
            time.sleep(0.02)
    context.term()
    assert set(read_output(process).splitlines()) == {"rule: lick 0.5"}
