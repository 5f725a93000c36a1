"""Keys: CURVE key pairs and the TCP token, in a folder of files.

The daemon's key folder::

    server.key          the daemon's public key, by which clients recognize it
    server.key_secret   the daemon's secret key; never leaves this folder
    allowed/NAME.key    public keys of the allowed clients; read at every handshake
    client.key_secret   key pair of the programs on this computer
    token               the secret that framed TCP senders must know
    NAME/               key folder for another computer: move it there as a whole

A client needs `server.key`, `client.key_secret` and `token`, so it can use either kind
of folder. Key files are in ZeroMQ's format.
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

from rtrecon.config import NetworkSettings
from rtrecon.core.errors import UserError
from rtrecon.core.operating_system import is_readable_by_others

LOCAL_CLIENT = "client"  # names the programs on the daemon's computer
_SERVER, _TOKEN, _ALLOWED = "server", "token", "allowed"
_KEY_BYTES = 32
_MIN_TOKEN_LENGTH = 16  # characters, so that it cannot be guessed
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class KeyFileError(UserError):
    """Keys that cannot be made or used; the text says which, and what to do."""


@dataclass(frozen=True)
class DaemonKeys:
    """The daemon's secret key, and the folder of the clients that it accepts."""

    secret: bytes
    allowed: Path

    def is_allowed(self, public: bytes) -> bool:
        """Return whether the folder holds this public key now."""
        try:
            return public in load_certificates(self.allowed)
        except (OSError, ValueError):  # a file in it that holds no key
            return False


@dataclass(frozen=True)
class ClientKeys:
    """A client's key pair, and the public key of the daemon that it trusts."""

    server: bytes
    public: bytes
    secret: bytes


def make_keys(folder: Path, names: tuple[str, ...] = ()) -> list[str]:
    """Make the missing files of a daemon's key folder, and a folder for each name.

    Existing files are kept. Returns a notice for each thing made.
    """
    for name in names:
        _require_name(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _ALLOWED).mkdir(exist_ok=True)
    notices = [*_make_daemon_keys(folder), *_make_local_client_keys(folder)]
    for name in names:
        notices += _make_computer_folder(folder, name)
    return notices or [f"{folder} has all its keys already"]


def read_daemon_keys(folder: Path) -> DaemonKeys:
    """Read the daemon's keys from its key folder; raises `KeyFileError`."""
    _, secret = _read_key_pair(folder / f"{_SERVER}.key_secret")
    allowed = folder / _ALLOWED
    if not allowed.is_dir():
        raise KeyFileError(
            f"{allowed} does not exist, so no client could connect; "
            f"make it with: rtrecon keys {folder}"
        )
    return DaemonKeys(secret, allowed)


def read_client_keys(folder: Path) -> ClientKeys:
    """Read a client's keys from a key folder; raises `KeyFileError`."""
    public, secret = _read_key_pair(folder / f"{LOCAL_CLIENT}.key_secret")
    server, _ = _read_certificate(folder / f"{_SERVER}.key")
    return ClientKeys(server, public, secret)


def get_daemon_keys(settings: NetworkSettings) -> DaemonKeys | None:
    """Return the daemon's keys that the settings name; None without keys."""
    return read_daemon_keys(Path(settings.keys)) if settings.keys else None


def get_client_keys(settings: NetworkSettings) -> ClientKeys | None:
    """Return a client's keys from the folder that the settings name, or None."""
    return read_client_keys(Path(settings.keys)) if settings.keys else None


def get_token(settings: NetworkSettings) -> bytes | None:
    """Return the token of framed TCP: from its own file, else from the key folder."""
    if settings.token:
        return read_token(Path(settings.token))
    return read_token(Path(settings.keys) / _TOKEN) if settings.keys else None


def read_token(path: Path) -> bytes:
    """Return a token file's text without surrounding space; raises `KeyFileError`."""
    _require_private(path)
    try:
        token = path.read_text(encoding="utf-8").strip().encode()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"token file {path} cannot be read: {error}") from None
    if len(token) < _MIN_TOKEN_LENGTH:
        raise KeyFileError(
            f"the token in {path} has {len(token)} characters, fewer than "
            f"{_MIN_TOKEN_LENGTH}; make one with: rtrecon keys {path.parent}"
        )
    return token


def _make_daemon_keys(folder: Path) -> list[str]:
    notices = []
    if not (folder / f"{_SERVER}.key_secret").exists():
        _create_key_pair(folder, _SERVER)
        notices.append(
            f"{folder} is the daemon's key folder: write keys = '{folder}' under "
            "[network] in its settings file. Its addresses may then be any"
        )
    if not (folder / _TOKEN).exists():
        _write_private(folder / _TOKEN, secrets.token_urlsafe(32) + "\n")
        notices.append(f"{folder / _TOKEN} is the token for framed TCP senders")
    return notices


def _make_local_client_keys(folder: Path) -> list[str]:
    if (folder / f"{LOCAL_CLIENT}.key_secret").exists():
        return []
    _create_key_pair(folder, LOCAL_CLIENT)
    (folder / f"{LOCAL_CLIENT}.key").replace(folder / _ALLOWED / f"{LOCAL_CLIENT}.key")
    return [f"programs on this computer use it too: rtrecon display --keys {folder}"]


def _make_computer_folder(folder: Path, name: str) -> list[str]:
    target, public = folder / name, folder / _ALLOWED / f"{name}.key"
    if target.exists() or public.exists():
        raise KeyFileError(
            f"the computer '{name}' has keys already; to make new ones, delete "
            f"{public} and, if it is still here, {target}"
        )
    target.mkdir(mode=0o700)
    _create_key_pair(target, LOCAL_CLIENT)
    (target / f"{LOCAL_CLIENT}.key").replace(public)
    (target / f"{_SERVER}.key").write_bytes((folder / f"{_SERVER}.key").read_bytes())
    _write_private(target / _TOKEN, (folder / _TOKEN).read_text(encoding="utf-8"))
    return [
        f"{target} is for the computer '{name}': move it there by a safe way and "
        f"delete it here; to withdraw its access, delete {public}"
    ]


def _create_key_pair(folder: Path, name: str) -> None:
    """Make a key pair; the secret key is never readable by other users."""
    with TemporaryDirectory(dir=folder) as scratch:  # only its owner may enter
        public, secret = (Path(path) for path in create_certificates(scratch, name))
        secret.chmod(stat.S_IRUSR | stat.S_IWUSR)
        secret.replace(folder / secret.name)
        public.replace(folder / public.name)


def _write_private(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _read_key_pair(path: Path) -> tuple[bytes, bytes]:
    _require_private(path)
    public, secret = _read_certificate(path)
    if secret is None:
        raise KeyFileError(
            f"{path} contains no secret key; make one with: rtrecon keys"
        )
    return public, secret


def _read_certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
        for key in (public, secret or public):
            if len(z85.decode(key)) != _KEY_BYTES:
                raise ValueError("it contains no key of 40 characters")
        return public, secret
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise KeyFileError(
            f"key file {path} cannot be read: {error}; make keys with: "
            "rtrecon keys FOLDER"
        ) from None


def _require_private(path: Path) -> None:
    if path.exists() and is_readable_by_others(path):
        raise KeyFileError(
            f"{path} can be read by other users of this computer; "
            f"close it with: chmod 600 {path}"
        )


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in (LOCAL_CLIENT, _SERVER, _ALLOWED, _TOKEN):
        raise KeyFileError(
            f"{name!r} cannot name a computer; use up to 32 letters, digits, - and _, "
            f"and not {LOCAL_CLIENT}, {_SERVER}, {_ALLOWED} or {_TOKEN}"
        )
