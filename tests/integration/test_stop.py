"""A daemon that stops takes no further frame, and loses none that it has received."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.session.frame_balance import balance_frames
from rtrecon.testing.daemon_process import N_TEMPLATE, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)

N_MESSAGES = 20
WAIT_S = 10.0


def test_closed_daemon_sockets_give_what_arrived_and_refuse_the_rest(tmp_path: Path):
    network = make_small_settings(tmp_path).network
    sockets, context = DaemonSockets.bind_all(network), zmq.Context()
    push = context.socket(zmq.PUSH)
    push.setsockopt(zmq.IMMEDIATE, 1)
    push.setsockopt(zmq.LINGER, 0)
    push.connect(network.frames)
    try:
        for number in range(N_MESSAGES):
            assert push.poll(1000 * WAIT_S, zmq.POLLOUT)
            push.send(str(number).encode())
        assert sockets.frames.poll(1000 * WAIT_S)
        time.sleep(0.3)  # until the others have arrived, too
        arrived = [parts[0] for parts in sockets.stop_receiving()]
        assert arrived == [str(number).encode() for number in range(N_MESSAGES)]
        while sockets.frames.poll(10) or push.poll(0, zmq.POLLOUT):
            time.sleep(0.01)
    finally:
        push.close()
        sockets.close()
        context.term()


def test_all_frames_sent_around_a_stop_are_counted(tmp_path: Path):
    settings = make_small_settings(tmp_path)
    with (
        DaemonProcess(tmp_path, settings) as daemon,
        SimulatedMicroscope(daemon) as microscope,
    ):
        microscope.send_frames(N_TEMPLATE + 20)
        assert daemon.call("stop")["ok"]
        sender = microscope.sender
        daemon.wait_until(lambda: not sender._monitored.socket.poll(0, zmq.POLLOUT))
        n_sent, sender.queue_timeout_s = sender.n_sent, 0.0  # it waits no longer
        microscope.send_frames(10)
        daemon.process.wait()
        assert (sender.n_sent, sender.n_dropped) == (n_sent, 10)
        daemon.wait_until(lambda: daemon.newest_health().state == "stopped")
        health = daemon.newest_health()
        balance = balance_frames(health)
    assert health.frames_received == n_sent
    assert balance.n_sent == n_sent
    assert (balance.n_queued, balance.n_unexplained) == (0, 0)
