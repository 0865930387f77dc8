"""Who opens what is sealed, and who is told? The one place that unwraps a private key.

`open` answers the keys of one owner to a process that may hold the wrapping key, after writing an audit row that
says who asked and why. A bounded cache keeps what was unwrapped for a few minutes, for each asker apart.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mss.crypto import seal
from mss.crypto.keys import KeyWrapper
from mss.crypto.seal import KeyPair, Mac, SealedOpener
from mss.model.clock import Chance, Clock
from mss.model.errors import NotFound, SealBroken
from mss.model.ids import OwnerId, lane_of
from mss.store import audit, messages, owners, sealing
from mss.store.blobs import BodyStore
from mss.store.database import Store
from mss.store.messages import SealedKey, StoredBody, StoredMessage

CACHE_MAX = 4096
"""Owners whose keys stay unwrapped: a few MB. Each entry was written down when it came in."""
CACHE_S = 300.0
"""For how long: a mail client that polls every minute is one row in the audit, not five hundred."""
EPOCHS_CACHED_MAX = 256
"""Intake keys remembered for one owner; a page of a list opens each once."""


@dataclass(slots=True)
class OwnerKeys:
    """What opens one owner's things. Lives in memory of desk and works only."""

    owner: OwnerId
    pair: KeyPair
    shelf: bytes
    chance: Chance
    _epochs: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _opener: SealedOpener | None = None
    _mac: Mac | None = None

    def __repr__(self) -> str:
        return f"OwnerKeys({self.owner})"

    def epoch_key(self, sealed: SealedKey) -> bytes:
        """The symmetric key behind a `sealed_key` row. Raises SealBroken."""
        if sealed.epoch == sealing.SHELF:
            return self.shelf
        known = self._epochs.get(sealed.epoch)
        if known is None:
            context = sealing.key_context(self.owner, sealed.epoch)
            if sealed.scheme == sealing.SCHEME_SHELF:
                known = seal.decrypt(self.shelf, sealed.key, context)
            else:
                known = self._sealed().open(sealed.key, context)
            self._epochs[sealed.epoch] = known
            if len(self._epochs) > EPOCHS_CACHED_MAX:
                self._epochs.popitem(last=False)
        return known

    def _sealed(self) -> SealedOpener:
        if self._opener is None:
            self._opener = SealedOpener(self.pair)
        return self._opener

    def open_summary(self, message: StoredMessage) -> bytes:
        """The rendered summary of a message (formats/summary.py reads it)."""
        where = seal.place(self.owner, messages.SUMMARY_KIND, message.message)
        return seal.decrypt_object(self.epoch_key(message.key), where, message.summary_sealed)

    def seal_small(self, kind: bytes, number: int, plain: bytes) -> bytes:
        """Seal something short under the shelf key (a name, an entry, a contact); it may be written again."""
        return seal.encrypt(self.shelf, plain, seal.place(self.owner, kind, number), self.chance)

    def open_small(self, kind: bytes, number: int, sealed: bytes) -> bytes:
        """Undo `seal_small`. Raises SealBroken."""
        return seal.decrypt(self.shelf, sealed, seal.place(self.owner, kind, number))

    def seal_object(self, kind: bytes, number: int, plain: bytes) -> bytes:
        """Seal a body under the shelf key, in frames; a place is written once."""
        if self._mac is None:
            self._mac = seal.Mac(self.shelf)
        return seal.encrypt_object(self._mac, seal.place(self.owner, kind, number), plain)

    def reseal(self, keys: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Intake keys sealed to the public key, wrapped under the shelf key instead."""
        return [
            (
                epoch,
                seal.encrypt(
                    self.shelf,
                    self._sealed().open(sealed, sealing.key_context(self.owner, epoch)),
                    sealing.key_context(self.owner, epoch),
                    self.chance,
                ),
            )
            for epoch, sealed in keys
        ]


def wrapping_context(owner: int) -> bytes:
    """What binds a wrapped private key to its owner."""
    return b"mailbox private key %d" % owner


def keys_from_private(owner: OwnerId, private: bytes, chance: Chance) -> OwnerKeys:
    """Everything that follows from an owner's private key; the shelf key is derived from it."""
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return OwnerKeys(owner, KeyPair(private, public), seal.derive(private, b"shelf"), chance)


def new_owner_keys(owner: OwnerId, wrapper: KeyWrapper, chance: Chance) -> tuple[OwnerKeys, bytes]:
    """Keys for a new owner, and the wrapped private half to store."""
    pair = seal.new_pair(chance)
    keys = OwnerKeys(owner, pair, seal.derive(pair.private, b"shelf"), chance)
    return keys, wrapper.wrap(pair.private, wrapping_context(owner))


class Opener:
    """The vault's counter."""

    def __init__(self, store: Store, bodies: BodyStore, wrapper: KeyWrapper, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._bodies = bodies
        self._wrapper = wrapper
        self._clock = clock
        self._chance = chance
        self._cache: OrderedDict[tuple[int, str], tuple[float, OwnerKeys]] = OrderedDict()

    async def open(self, owner: OwnerId, actor: str, why: str) -> OwnerKeys:
        """The keys of an owner, for an actor and a reason that go into the audit. Raises NotFound, SealBroken."""
        now = self._clock.monotonic_s()
        known = self._cache.get((owner, actor))
        if known is not None and now - known[0] < CACHE_S:
            return known[1]
        box = await self._store.look_up(lambda connection: owners.mailbox(connection, owner))
        if box is None:
            raise NotFound("owner")
        private = self._wrapper.unwrap(box.private_key_wrapped, wrapping_context(owner))
        act = audit.Act(self._clock.now(), actor, "vault.open", owner, result=why)
        await self._store.write(lane_of(owner), lambda connection: audit.write(connection, [act]))
        keys = keys_from_private(owner, private, self._chance)
        self._cache[(owner, actor)] = (now, keys)
        if len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)
        return keys

    async def body(self, keys: OwnerKeys, blob: int, kind: bytes, number: int, sealed: SealedKey) -> bytes:
        """A whole body, opened. Raises NotFound, SealBroken."""
        stored = await self._stored(keys.owner, blob)
        ciphertext = stored.inline if stored.inline is not None else await self._bodies.get(stored.place)
        where = seal.place(keys.owner, kind, number)
        return seal.decrypt_object(keys.epoch_key(sealed), where, ciphertext)

    async def message_body(self, keys: OwnerKeys, message: StoredMessage) -> bytes:
        """The bytes of a message as they came, trace fields before them."""
        return await self.body(keys, message.blob, messages.BODY_KIND, message.message, message.key)

    async def _stored(self, owner: OwnerId, blob: int) -> StoredBody:
        stored = await self._store.look_up(lambda connection: messages.body_of(connection, owner, blob))
        if stored is None:
            raise NotFound("body")
        return stored


def open_house(pair: KeyPair, sealed: bytes, context: bytes) -> bytes:
    """Open what was sealed to a pair of the house (tasks, held, outbound). Raises SealBroken."""
    if not sealed:
        raise SealBroken("nothing sealed")
    return seal.open_sealed(pair, sealed, context)
