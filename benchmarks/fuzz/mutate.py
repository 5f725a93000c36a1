"""Mutations of messages: bits, slices, and values that JSON and headers can hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from rtrecon.protocol import messages

MAX_BYTES = 4096
_VALUES = [
    *(b"0", b"-1", b"1", b"0.5", b"1e999", b"-1e-999", b"NaN", b"Infinity"),
    *(b"9007199254740993", b"18446744073709551616", b"99999999999999999999999"),
    *(b"null", b"true", b'""', b'"x"', b"[]", b"{}", b"[[[[", b'{"a":', b"[1,2]"),
    *(b'"\\ud800"', b'"\xed\xa0\x80"', b'"../../etc"', b'"\\u0000"', b'"int16"'),
]
_BYTES = [b"\0", b"\xff", b"\x7f", b"\x80", b"RTR1", b"\xff\xff\xff\xff", b"\0\0\0\0"]
_NAMES = sorted(
    {
        name.encode()
        for kind in (
            *messages.IncomingMessage.__args__,
            *messages.PublishedMessage.__args__,
        )
        for name in ("type", *kind.__struct_fields__)
    }
)
_TOKEN = re.compile(rb'-?\d[\d.eE+-]*|"[^"]*"|true|null')

Mutation = Callable[[bytes, list[bytes], Random], bytes]


def mutate_bytes(data: bytes, seeds: list[bytes], rng: Random) -> bytes:
    """Return the data after one to six mutations, at most `MAX_BYTES` long."""
    for _ in range(1 + int(rng.random() ** 2 * 6)):
        data = rng.choice(_MUTATIONS)(data, seeds, rng)
    return data[:MAX_BYTES]


def _random_index(data: bytes, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip_bit(data: bytes, _: list[bytes], rng: Random) -> bytes:
    if not data:
        return b"\0"
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _delete_slice(data: bytes, _: list[bytes], rng: Random) -> bytes:
    start = _random_index(data, rng)
    return data[:start] + data[start + rng.randrange(1, 16) :]


def _repeat_slice(data: bytes, _: list[bytes], rng: Random) -> bytes:
    start, to = _random_index(data, rng), _random_index(data, rng)
    return data[:to] + data[start : start + rng.randrange(1, 64)] + data[to:]


def _insert_special_bytes(data: bytes, _: list[bytes], rng: Random) -> bytes:
    start = _random_index(data, rng)
    return data[:start] + rng.choice(_BYTES) + data[start + rng.randrange(3) :]


def _splice_seeds(data: bytes, seeds: list[bytes], rng: Random) -> bytes:
    other = rng.choice(seeds)
    return data[: _random_index(data, rng)] + other[_random_index(other, rng) :]


def _replace_value(data: bytes, _: list[bytes], rng: Random) -> bytes:
    found = list(_TOKEN.finditer(data))
    if not found:
        return data + rng.choice(_VALUES)
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(_VALUES) + data[chosen.end() :]


def _insert_field(data: bytes, _: list[bytes], rng: Random) -> bytes:
    start = data.find(b"{") + 1
    field = b'"' + rng.choice(_NAMES) + b'":' + rng.choice(_VALUES) + b","
    return data[:start] + field + data[start:]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit,
    _delete_slice,
    _repeat_slice,
    _insert_special_bytes,
    _splice_seeds,
    _replace_value,
    _replace_value,
    _insert_field,
)
