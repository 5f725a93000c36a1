"""Key folders: made once, readable by their owner only, checked when read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rtrecon.transport import keys
from rtrecon.transport.keys import KeyFileError

COMPUTER = "microscope-pc"

# a damage to a key folder -> words of the error
DAMAGES = {
    "no secret": (
        lambda folder: (folder / "server.key_secret").unlink(),
        "server.key_secret cannot be read: .*make keys with: rtrecon keys",
    ),
    "nobody allowed": (
        lambda folder: (
            [*map(Path.unlink, (folder / "allowed").iterdir())]
            and (folder / "allowed").rmdir()
        ),
        "allowed does not exist, so no client could connect",
    ),
    "no key in it": (
        lambda folder: (folder / "server.key_secret").write_text("curve\n"),
        "server.key_secret cannot be read: No public key",
    ),
    "a key cut short": (
        lambda folder: (folder / "server.key_secret").write_text(
            'public-key = "abcde"\nsecret-key = "abcde"\n'
        ),
        "it contains no key of 40 characters",
    ),
    "only the public half": (
        lambda folder: (folder / "server.key_secret").write_bytes(
            (folder / "server.key").read_bytes()
        ),
        "contains no secret key",
    ),
}


def read_token(folder: Path) -> bytes:
    return keys.read_token(folder / "token")


@pytest.fixture
def folder(tmp_path):
    keys.make_keys(tmp_path / "keys", (COMPUTER,))
    return tmp_path / "keys"


def test_key_files_are_made_once_and_only_their_owner_can_read_secrets(folder):
    secret = {"server.key_secret", "client.key_secret", "token"}
    for_clients = {"server.key", "client.key_secret", "token"}
    assert {f.name for f in folder.iterdir() if f.is_file()} == {*secret, "server.key"}
    assert {f.name for f in (folder / COMPUTER).iterdir()} == for_clients
    allowed = {f.name for f in (folder / "allowed").iterdir()}
    assert allowed == {"client.key", f"{COMPUTER}.key"}
    if os.name == "posix":
        for path in [*map(folder.joinpath, secret), folder / COMPUTER / "token"]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert keys.make_keys(folder) == [f"{folder} has all its keys already"]
    assert {path: path.read_bytes() for path in before} == before


def test_each_computer_gets_its_own_key_and_the_daemons_public_key(folder):
    local, remote = (
        keys.read_client_keys(folder),
        keys.read_client_keys(folder / COMPUTER),
    )
    assert local.server == remote.server
    assert local.secret != remote.secret
    daemon = keys.read_daemon_keys(folder)
    assert daemon.is_allowed(local.public)
    assert daemon.is_allowed(remote.public)
    assert not daemon.is_allowed(local.server)
    assert read_token(folder) == read_token(folder / COMPUTER)
    assert len(read_token(folder)) == 43


def test_existing_keys_of_a_computer_are_not_replaced(folder):
    with pytest.raises(
        KeyFileError, match="has keys already; to make new ones, delete"
    ):
        keys.make_keys(folder, (COMPUTER,))


@pytest.mark.parametrize("name", ["", "..", "a/b", "allowed", "server", "x" * 40])
def test_a_computer_name_that_could_be_a_path_is_refused(tmp_path, name):
    with pytest.raises(KeyFileError, match="cannot name a computer"):
        keys.make_keys(tmp_path / "keys", (name,))
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("case", DAMAGES)
def test_unusable_key_files_are_refused_with_what_to_do(folder, case):
    damage, words = DAMAGES[case]
    damage(folder)
    if os.name == "posix" and (folder / "server.key_secret").exists():
        (folder / "server.key_secret").chmod(0o600)
    with pytest.raises(KeyFileError, match=words):
        keys.read_daemon_keys(folder)


@pytest.mark.skipif(os.name != "posix", reason="files have other permissions here")
@pytest.mark.parametrize(
    ("name", "read"),
    [("client.key_secret", keys.read_client_keys), ("token", read_token)],
)
def test_a_secret_file_that_other_users_can_read_is_refused(folder, name, read):
    (folder / name).chmod(0o644)
    with pytest.raises(KeyFileError, match=f"{name} can be read by .*chmod 600"):
        read(folder)


def test_a_short_token_is_refused(folder):
    (folder / "token").write_text("mouse\n")
    with pytest.raises(KeyFileError, match="has 5 characters, fewer than 16"):
        read_token(folder)


def test_an_invalid_file_among_the_allowed_keys_accepts_nobody(folder):
    (folder / "allowed" / "odd.key").write_text("not a key")
    assert not keys.read_daemon_keys(folder).is_allowed(
        keys.read_client_keys(folder).public
    )
