"""Who may talk: CURVE keys in a folder, made once and handed to each computer.

A key folder of the daemon::

    server.key          its public key, which clients know it by
    server.key_secret   stays here
    allowed/NAME.key    public keys of those who may talk; read at every handshake
    client.key_secret   for programs on this computer; token: the word for framed TCP
    NAME/               the same four, for another computer: to be moved there whole

A client's folder holds `server.key`, `client.key_secret` and `token`; so any folder of
the two kinds will do for a client. Files are in ZeroMQ's own format.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from zmq.auth import create_certificates, load_certificate, load_certificates
from zmq.utils import z85

from rtrecon.config import WireSettings
from rtrecon.core.errors import UserError

HERE = "client"  # the name of this computer's own programs
_SERVER, _TOKEN, _ALLOWED = "server", "token", "allowed"
_KEY_BYTES = 32
_LEAST_TOKEN = 16  # characters, so that it cannot be found by trying
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class KeyFault(UserError):
    """Keys that cannot be made or used; its text says which and what to do."""


@dataclass(frozen=True)
class DaemonKeys:
    """What the daemon proves itself with, and the folder of those it lets in."""

    secret: bytes
    allowed: Path

    def allows(self, public: bytes) -> bool:
        """Tell whether this public key may talk, by the folder as it is now."""
        try:
            return public in load_certificates(self.allowed)
        except (OSError, ValueError):  # a file in it that holds no key
            return False


@dataclass(frozen=True)
class ClientKeys:
    """What a client proves itself with, and which daemon it trusts."""

    server: bytes
    public: bytes
    secret: bytes


def make_keys(folder: Path, names: tuple[str, ...] = ()) -> list[str]:
    """Make what is missing in a daemon's key folder, and a folder for each name.

    What is there already is kept. Returns a sentence for each thing made.
    """
    for name in names:
        _require_name(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _ALLOWED).mkdir(exist_ok=True)
    told = [*_make_daemon(folder), *_make_own(folder)]
    for name in names:
        told += _make_for(folder, name)
    return told or [f"{folder} has all its keys already"]


def daemon_keys(folder: Path) -> DaemonKeys:
    """Read the keys that a daemon binds with; raises `KeyFault`."""
    _, secret = _pair(folder / f"{_SERVER}.key_secret")
    allowed = folder / _ALLOWED
    if not allowed.is_dir():
        raise KeyFault(
            f"{allowed} is not there, so nobody would be let in; "
            f"make it with: rtrecon keys {folder}"
        )
    return DaemonKeys(secret, allowed)


def client_keys(folder: Path) -> ClientKeys:
    """Read the keys that a client connects with; raises `KeyFault`."""
    public, secret = _pair(folder / f"{HERE}.key_secret")
    server, _ = _certificate(folder / f"{_SERVER}.key")
    return ClientKeys(server, public, secret)


def keys_of_daemon(wire: WireSettings) -> DaemonKeys | None:
    """Return what the settings say that the daemon binds with; None without keys."""
    return daemon_keys(Path(wire.keys)) if wire.keys else None


def keys_of_client(wire: WireSettings) -> ClientKeys | None:
    """Return what a program beside the daemon connects with; None without keys."""
    return client_keys(Path(wire.keys)) if wire.keys else None


def token_of(wire: WireSettings) -> bytes | None:
    """Return the word that framed TCP asks for: its file's, else the key folder's."""
    if wire.token:
        return read_token(Path(wire.token))
    return read_token(Path(wire.keys) / _TOKEN) if wire.keys else None


def read_token(path: Path) -> bytes:
    """Read a token file: its text without the space around it; raises `KeyFault`."""
    _require_private(path)
    try:
        token = path.read_text(encoding="utf-8").strip().encode()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFault(f"token file {path} cannot be read: {error}") from None
    if len(token) < _LEAST_TOKEN:
        raise KeyFault(
            f"the token in {path} has {len(token)} characters, fewer than "
            f"{_LEAST_TOKEN}; make one with: rtrecon keys {path.parent}"
        )
    return token


def _make_daemon(folder: Path) -> list[str]:
    told = []
    if not (folder / f"{_SERVER}.key_secret").exists():
        _create(folder, _SERVER)
        told.append(
            f"{folder} is the daemon's: write keys = '{folder}' under [wire] in its "
            "settings file, then its addresses may be those of a network"
        )
    if not (folder / _TOKEN).exists():
        _write_private(folder / _TOKEN, secrets.token_urlsafe(32) + "\n")
        told.append(f"{folder / _TOKEN} is the word that framed TCP senders must know")
    return told


def _make_own(folder: Path) -> list[str]:
    if (folder / f"{HERE}.key_secret").exists():
        return []
    _create(folder, HERE)
    (folder / f"{HERE}.key").replace(folder / _ALLOWED / f"{HERE}.key")
    return [f"programs on this computer take it too: rtrecon display --keys {folder}"]


def _make_for(folder: Path, name: str) -> list[str]:
    there, public = folder / name, folder / _ALLOWED / f"{name}.key"
    if there.exists() or public.exists():
        raise KeyFault(
            f"the computer '{name}' has keys already; to make them anew, delete "
            f"{public} and, if it is still here, {there}"
        )
    there.mkdir(mode=0o700)
    _create(there, HERE)
    (there / f"{HERE}.key").replace(public)
    (there / f"{_SERVER}.key").write_bytes((folder / f"{_SERVER}.key").read_bytes())
    _write_private(there / _TOKEN, (folder / _TOKEN).read_text(encoding="utf-8"))
    return [
        f"{there} is for the computer '{name}': move it there by a safe way and delete "
        f"it here; to lock it out, delete {public}"
    ]


def _create(folder: Path, name: str) -> None:
    """Make a pair; the secret half is never readable by others, not for a moment."""
    with TemporaryDirectory(dir=folder) as made:  # which only its owner may enter
        public, secret = (Path(path) for path in create_certificates(made, name))
        secret.chmod(stat.S_IRUSR | stat.S_IWUSR)
        secret.replace(folder / secret.name)
        public.replace(folder / public.name)


def _write_private(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _pair(path: Path) -> tuple[bytes, bytes]:
    _require_private(path)
    public, secret = _certificate(path)
    if secret is None:
        raise KeyFault(f"{path} holds no secret key; make one with: rtrecon keys")
    return public, secret


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
        for key in (public, secret or public):
            if len(z85.decode(key)) != _KEY_BYTES:
                raise ValueError("it holds no key of 40 characters")
        return public, secret
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise KeyFault(
            f"key file {path} cannot be read: {error}; make keys with: "
            "rtrecon keys FOLDER"
        ) from None


def _require_private(path: Path) -> None:
    # Windows has no such bits: a file there is as private as the folder it is in.
    if os.name == "posix" and path.exists() and path.stat().st_mode & 0o077:
        raise KeyFault(
            f"{path} can be read by other users of this computer; "
            f"close it with: chmod 600 {path}"
        )


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in (HERE, _SERVER, _ALLOWED, _TOKEN):
        raise KeyFault(
            f"{name!r} cannot name a computer; use up to 32 letters, digits, - and _, "
            f"and not {HERE}, {_SERVER}, {_ALLOWED} or {_TOKEN}"
        )
