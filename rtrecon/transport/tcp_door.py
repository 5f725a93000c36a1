"""The framed TCP door: what comes by plain TCP goes where ZeroMQ's messages go.

A thread of its own, so that senders which can only block are drained while the front
computes. It says a byte for each message that it could pass on: a sender that keeps at
most `framed.WINDOW` under way never waits, and counts what it cannot send. One that
does not is held up by TCP. Either way nothing piles up here.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress

import zmq

from rtrecon.protocol.messages import MAX_PAYLOAD_BYTES
from rtrecon.transport import framed, sockets
from rtrecon.transport.framed import FramingError, Message, Reader

MAX_SENDERS = 8
ANSWER_S = 5.0  # for the answer to a challenge
UNFINISHED_S = 10.0  # for a message that was begun
_TICK_MS = 100
_OWED_AT_ONCE = 4096  # bytes of thanks
_KEPT = 32  # sentences that wait to be told
_PASSED_ON = "inproc://framed-tcp"


class TcpDoor:
    """Listens at an address; `connect` a PULL socket to have its messages.

    `token`: what senders have to know; None, then the address has to be loopback.
    Remembers how many messages were taken in and how many senders were turned away or
    cut off, and in a few sentences why. Raises `AddressError`.
    """

    def __init__(
        self, context: sockets.Context, address: str, token: bytes | None = None
    ) -> None:
        self.taken = 0
        self.refused = 0
        self._sentences: deque[str] = deque(maxlen=_KEPT)
        self._token = token
        self._senders: dict[int, _Sender] = {}
        self._listening = _listening(address, token)
        self._onward: sockets.Socket = context.socket(zmq.PUSH)
        self._onward.setsockopt(zmq.LINGER, 0)
        self._onward.setsockopt(zmq.SNDHWM, framed.WINDOW)
        self._onward.bind(_PASSED_ON)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="framed TCP")
        self._thread.start()

    @staticmethod
    def connect(pull: sockets.Socket) -> None:
        """Let this PULL socket, of the same context, have the messages too."""
        pull.connect(_PASSED_ON)

    def sentences(self) -> list[str]:
        """Return, and forget, what was refused since the last call."""
        return [self._sentences.popleft() for _ in range(len(self._sentences))]

    def close(self) -> None:
        """Stop listening and let go of all senders."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._poller().poll(_TICK_MS)
            for sender in list(self._senders.values()):
                self._serve(sender)
            self._welcome()  # last, when those who left have made room
        for sender in self._senders.values():
            sender.connection.close()
        self._listening.close()
        self._onward.close()

    def _poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        poller.register(self._listening.fileno(), zmq.POLLIN)
        for number, sender in self._senders.items():
            if sender.has_room:
                poller.register(number, zmq.POLLIN)
        if any(sender.waiting for sender in self._senders.values()):
            poller.register(self._onward, zmq.POLLOUT)
        return poller

    def _welcome(self) -> None:
        try:
            connection, (host, port, *_) = self._listening.accept()
        except OSError:  # nobody, or gone before it was let in
            return
        sender = _Sender(connection, f"{host}:{port}", self._token)
        if len(self._senders) >= MAX_SENDERS:
            self._refuse(sender, f"{MAX_SENDERS} senders are connected already")
            return
        self._senders[connection.fileno()] = sender

    def _serve(self, sender: _Sender) -> None:
        try:
            if sender.has_room:
                sender.receive()
            sender.watch(time.monotonic())
            self._pass_on(sender)
        except FramingError as error:
            self._forget(sender)
            self._refuse(sender, str(error))
        except (OSError, EOFError):
            self._forget(sender)
            sender.connection.close()

    def _pass_on(self, sender: _Sender) -> None:
        with suppress(zmq.Again):
            while sender.waiting:
                self._onward.send_multipart(sender.waiting[0], zmq.DONTWAIT)
                sender.took()
                self.taken += 1
        sender.thank()

    def _forget(self, sender: _Sender) -> None:
        del self._senders[sender.connection.fileno()]

    def _refuse(self, sender: _Sender, why: str) -> None:
        self.refused += 1
        self._sentences.append(f"sender {sender.name} by TCP was cut off: {why}")
        sender.dismiss(why)


class _Sender:
    """One connection: what it has to prove, and messages that are not passed on yet.

    Its methods raise FramingError where it has to be cut off, OSError or EOFError where
    it is gone.
    """

    def __init__(
        self, connection: socket.socket, name: str, token: bytes | None
    ) -> None:
        self.connection = connection
        self.name = name
        self.waiting: deque[Message] = deque()
        self._token = token
        self._asked = framed.challenge() if token else b""
        self._answer = bytearray()
        self._reader = Reader()
        self._owed = 0
        self._since_s = time.monotonic()  # it connected, or its message was begun
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with suppress(OSError):  # gone already: the next read says so
            connection.send(self._asked)

    @property
    def has_room(self) -> bool:
        """Whether another message may be read before these are passed on."""
        held = sum(len(payload) for _, payload in self.waiting)
        return len(self.waiting) < framed.WINDOW and held < MAX_PAYLOAD_BYTES

    def receive(self) -> None:
        """Read what has come, at most to a message's end: others have their turn."""
        with suppress(BlockingIOError):
            if self._token:
                self._receive_answer(self._token)
                return
            while True:
                if self._reader.is_between:
                    self._since_s = time.monotonic()
                count = self.connection.recv_into(self._reader.room)
                if not count:
                    raise EOFError
                message = self._reader.filled(count)
                if message:
                    self.waiting.append(message)
                    return

    def _receive_answer(self, token: bytes) -> None:
        came = self.connection.recv(framed.ANSWER_BYTES - len(self._answer))
        if not came:
            raise EOFError
        self._answer += came
        if len(self._answer) < framed.ANSWER_BYTES:
            return
        if not framed.is_right(token, self._asked, bytes(self._answer)):
            raise FramingError("it does not know the token")
        self._token = None
        self._owed += 1

    def watch(self, now_s: float) -> None:
        """Raise where something that was begun does not go on."""
        waited_s = now_s - self._since_s
        if self._token and waited_s > ANSWER_S:
            raise FramingError(f"it did not say the token within {ANSWER_S:g} s")
        is_begun = not self._token and not self._reader.is_between
        if is_begun and waited_s > UNFINISHED_S:
            raise FramingError(f"a message was not finished within {UNFINISHED_S:g} s")

    def took(self) -> None:
        """Forget the oldest message: it was passed on."""
        self.waiting.popleft()
        self._owed += 1

    def thank(self) -> None:
        """Say what was taken in, as far as the sender's system listens."""
        if self._owed:
            with suppress(BlockingIOError):
                thanks = framed.TAKEN * min(self._owed, _OWED_AT_ONCE)
                self._owed -= self.connection.send(thanks)

    def dismiss(self, why: str) -> None:
        """Close, saying why if that can still be said."""
        with suppress(OSError):
            self.connection.send(framed.REFUSED + why.encode())
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()


def _listening(address: str, token: bytes | None) -> socket.socket:
    host, port = sockets.host_and_port(address)
    if host not in sockets.LOOPBACK and not token:
        raise sockets.AddressError(
            f"{address} would take frames from other machines without a token; make "
            "one with 'rtrecon keys FOLDER' and name it as token under [wire], or "
            "listen at 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            ("" if host == "*" else host, port), family=family
        )
    except OSError as error:
        raise sockets.bind_failure(address, error) from None
    listening.setblocking(False)
    return listening
