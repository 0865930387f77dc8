"""How does a process that may not read keep a message for somebody?

Intake makes a symmetric key for a mailbox and an hour, seals it to the mailbox's public key (`sealed_key` row) and
encrypts with it. A process that may open later wraps that key under the mailbox's shelf key ("reseal"), which
makes opening it again some thirty times cheaper. Knows public keys only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from mss.crypto import seal
from mss.model.clock import Chance, Clock, to_ms
from mss.store import schema
from mss.store.ids import new_id
from mss.store.sql import insert_ignoring, own

HOUR_MS = 3_600_000
KEYS_CACHED_MAX = 20_000
"""Owners whose key of the hour is remembered: a few MB; a forgotten one costs a new key, nothing else."""

SHELF = 0
"""`key_epoch` of what was written by a process that may open: the owner's shelf key itself."""
SCHEME_SEALED = 1
SCHEME_SHELF = 2


@dataclass(slots=True)
class IntakeKey:
    """The key of one owner for one hour. `kept` once its row is known to be durable."""

    owner: int
    epoch: int
    key: bytes
    sealed: bytes
    hour: int
    kept: bool = False

    def encrypt(self, kind: bytes, number: int, plain: bytes) -> bytes:
        return seal.encrypt_object(self.key, seal.place(self.owner, kind, number), plain)

    def encrypt_pieces(self, kind: bytes, number: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same ciphertext, piece by piece."""
        return seal.encrypt_pieces(self.key, seal.place(self.owner, kind, number), pieces)


def keep_keys(connection: Connection, keys: Iterable[IntakeKey]) -> None:
    """Write the rows that let the owners open them, in the transaction of the first message that uses each."""
    rows = {
        (key.owner, key.epoch): own(key.owner) | {"epoch": key.epoch, "scheme": SCHEME_SEALED, "key": key.sealed}
        for key in keys
        if not key.kept
    }
    if rows:
        insert_ignoring(connection, schema.sealed_key, [*rows.values()])


def key_context(owner: int, epoch: int) -> bytes:
    """What binds a sealed or wrapped intake key to its place."""
    return b"intake key %d/%d" % (owner, epoch)


class Sealer:
    """Hands out intake keys; one for each process that takes mail in."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._chance = chance
        self._keys: OrderedDict[int, IntakeKey] = OrderedDict()

    def key_for(self, owner: int, public_key: bytes) -> IntakeKey:
        """The owner's key of this hour, fresh when there is none."""
        hour = to_ms(self._clock.now()) // HOUR_MS
        known = self._keys.get(owner)
        if known is not None and known.hour == hour:
            self._keys.move_to_end(owner)
            return known
        return self.fresh_key(owner, public_key)

    def fresh_key(self, owner: int, public_key: bytes) -> IntakeKey:
        """A new key, whatever the hour (benchmarks fill a mailbox with one for each message)."""
        epoch = new_id(self._clock, self._chance)
        key = self._chance.token(seal.KEY_BYTES)
        sealed = seal.seal_to(public_key, key, key_context(owner, epoch), self._chance)
        made = IntakeKey(owner, epoch, key, sealed, to_ms(self._clock.now()) // HOUR_MS)
        self._keys[owner] = made
        if len(self._keys) > KEYS_CACHED_MAX:
            self._keys.popitem(last=False)
        return made
