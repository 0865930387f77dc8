"""Which long-lived keys does the house have, and where do they come from?

Key files lie in a directory of their own, outside the state and its backups. Each process is handed only what
its work needs (mss/assembly/ decides): the edge gets the lookup key and public halves, never a private one.
`KeyWrapper` is what wraps the private keys of mailboxes; the file form below may be replaced by a token
(PKCS#11) that never lets its key out, since nobody asks for more than `wrap` and `unwrap`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mss.crypto import seal
from mss.crypto.seal import KeyPair
from mss.model.clock import Chance
from mss.model.errors import BadValue

LOOKUP_FILE = "lookup.key"
WRAPPING_FILE = "wrapping.key"
SIGNING_FILE = "audit-signing.key"
HOUSE_PAIRS = ("outbound", "tasks", "held")
"""Pairs of the house for work in flight: mail waiting to leave, duties with content, what waits for a human."""


class KeyWrapper(Protocol):
    """Keeps other keys: what a PKCS#11 token can do without showing its own key."""

    def wrap(self, secret: bytes, context: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...


class FileKeyWrapper:
    """The wrapping key in a file of mode 0400; AES-256-GCM, random nonces (2^32 wraps are far away)."""

    def __init__(self, key: bytes, chance: Chance) -> None:
        self._key = key
        self._chance = chance

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        return seal.encrypt(self._key, secret, context, self._chance)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return seal.decrypt(self._key, wrapped, context)


class Lookup:
    """Keyed hashes by which things are found without being readable: one key, one label for each use.

    Whoever holds this key can test a guess (an INS is guessable), so it is a secret of every process that
    looks things up and never part of the state.
    """

    HASH_BYTES = 20

    def __init__(self, key: bytes) -> None:
        self._mac = seal.Mac(key)
        self.fingerprint_key = seal.derive(key, b"fingerprint of a message")
        """For `seal.fingerprint` of what may be sent to us again."""

    def of(self, label: str, text: str) -> bytes:
        """The keyed hash of `text` for one use; 160 bits."""
        return self._mac.of(f"{label}\0{text}".encode())[: self.HASH_BYTES]

    def keyword(self, folder: int, name: str) -> bytes:
        """A keyword of a folder, whatever its case."""
        return self.of("keyword", f"{folder}|{name.casefold()}")

    def address(self, address_key: str) -> bytes:
        return self.of("address", address_key)

    def ins(self, value: str, oid: str) -> bytes:
        return self.of("ins", f"{oid}|{value}")

    def login(self, login: str) -> bytes:
        return self.of("login", login.strip().lower())

    def person(self, idnps: str) -> bytes:
        """A professional, by her national number."""
        return self.of("professional", idnps)

    def message_id(self, message_id: str) -> bytes:
        return self.of("message-id", message_id)

    def folder(self, owner: int, name: str) -> bytes:
        return self.of("folder", f"{owner}|{name}")

    def document(self, owner: int, unique_id: str) -> bytes:
        return self.of("document", f"{owner}|{unique_id}")

    def content(self, owner: int, sha256: bytes) -> bytes:
        return self.of("content", f"{owner}|{sha256.hex()}")


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What every process may hold: the lookup key and the public halves of the house."""

    lookup: Lookup
    outbound: bytes
    tasks: bytes
    held: bytes


@dataclass(frozen=True, slots=True)
class PrivateKeys:
    """What desk and works may hold besides."""

    wrapper: KeyWrapper
    outbound: KeyPair
    tasks: KeyPair
    held: KeyPair


def create_key_files(directory: Path, chance: Chance) -> None:
    """Make the key files of a new installation; existing ones are never touched."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (LOOKUP_FILE, WRAPPING_FILE, SIGNING_FILE):
        _write_once(directory / name, chance.token(seal.KEY_BYTES))
    for name in HOUSE_PAIRS:
        private = directory / f"{name}.private.key"
        if not private.exists():
            pair = seal.new_pair(chance)
            _write_once(directory / f"{name}.public.key", pair.public)
            _write_once(private, pair.private)


def has_key_files(directory: Path) -> bool:
    """Whether keys were made here before."""
    return (directory / WRAPPING_FILE).exists() and (directory / LOOKUP_FILE).exists()


def load_public(directory: Path) -> PublicKeys:
    """Read what the edge may hold. Raises BadValue with the file's name and what to do."""
    outbound, tasks, held = (_read(directory / f"{name}.public.key") for name in HOUSE_PAIRS)
    return PublicKeys(Lookup(_read(directory / LOOKUP_FILE)), outbound, tasks, held)


def load_private(directory: Path, chance: Chance) -> PrivateKeys:
    """Read what desk and works may hold besides. Raises BadValue."""
    pairs = [
        KeyPair(_read(directory / f"{name}.private.key"), _read(directory / f"{name}.public.key"))
        for name in HOUSE_PAIRS
    ]
    return PrivateKeys(FileKeyWrapper(_read(directory / WRAPPING_FILE), chance), *pairs)


def load_signing(directory: Path) -> Ed25519PrivateKey:
    """The key that signs audit checkpoints."""
    return Ed25519PrivateKey.from_private_bytes(_read(directory / SIGNING_FILE))


def _write_once(path: Path, key: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as problem:
        raise BadValue(f"key file {path.name} cannot be read ({problem.strerror}); check keys_dir") from problem
    if len(key) != seal.KEY_BYTES:
        raise BadValue(f"key file {path.name} is not {seal.KEY_BYTES} bytes; restore it from the key backup")
    return key
