"""What is a message ready to be kept, and which rows does it become? One transaction of its mailbox, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, replace

from mss.formats.summary import Summary
from mss.mail.contents import Contents, Octets
from mss.mail.holding import Doubt, PreparedHold
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import SpecialUse
from mss.model.message import NOTHING_WISHED, DsnWish
from mss.store import audit, folders, messages, owners, received, tasks, unanswered
from mss.store.messages import Direction
from mss.store.sealing import IntakeKey, keep_keys
from mss.store.sql import Connection
from mss.store.unanswered import Waiting
from mss.store.writer import Together


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be kept: octets with our trace fields, and what was rendered from them once."""

    raw: InitVar[Octets]
    summary: Summary
    sender: MailAddress | None
    peer_name: str
    digest_source: Octets
    """What a retry would repeat: the bytes before our trace fields."""
    wish: DsnWish = NOTHING_WISHED
    """What the sender asked of delivery reports."""
    doubt: Doubt | None = None
    """What keeps it from being seen: it is put, and held."""
    contents: Contents = field(init=False)
    _fingerprints: dict[bytes, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self, raw: Octets) -> None:
        object.__setattr__(self, "contents", Contents.of(raw))

    def fingerprint(self, key: bytes) -> bytes:
        """Of the digest source, once for all recipients. Of a large one it takes a while. Raises StorageUnavailable."""
        found = self._fingerprints.get(key)
        if found is None:
            found = self._fingerprints[key] = Contents.of(self.digest_source).fingerprint(key)
        return found

    @property
    def message_id(self) -> str:
        return self.summary.message_id


@dataclass(frozen=True, slots=True)
class Placing:
    """Where in a mailbox: folder, flags, direction."""

    folder: SpecialUse = SpecialUse.INBOX
    flags: int = 0
    direction: int = Direction.IN
    conversation: int = 0
    keywords: int = 0
    """Bits of the keywords that the folder was born with."""
    counts: bool = True
    """Towards the mailbox's quota. A patient has none, and a row that only hers has would tell that she exists."""
    waits: Waiting | None = None
    """For an answer, as a patient's message does."""


@dataclass(slots=True)
class Parcel:
    """A letter sealed for one mailbox, its body durable; `put` is its transaction and answers its number."""

    owner: OwnerId
    new: messages.NewMessage
    key: IntakeKey
    put: Put
    for_nobody: bool = False
    delivered_to: list[MailAddress] = field(default_factory=list)
    """Addresses whose mail can be read at once."""
    held_for: list[MailAddress] = field(default_factory=list)
    """Addresses whose mail can be read once it is let go."""
    passed_on_to: list[MailAddress] = field(default_factory=list)
    """Patients' addresses, of which no more is told than that."""


@dataclass(frozen=True, slots=True)
class Put(Together):
    """The transaction of a parcel, for as many as come together; its result is the number under which it stands."""

    clock: Clock
    new: messages.NewMessage
    key: IntakeKey
    digested: bytes
    placing: Placing
    duty: tasks.NewTask | PreparedHold | None
    actor: str
    owes: tasks.NewTask | None = None
    """A duty besides, for a message that can be seen at once."""
    reseals: tasks.NewTask | None = None
    """To wrap a new key of a professional's mailbox when its hour is over; a patient's keys are wrapped as the bridge
    files."""

    @property
    def owner(self) -> int:
        return self.key.owner

    def _acts(self, standing: int) -> list[audit.Act]:
        """What an inspector reads of it."""
        act = "mail.sent" if self.placing.direction == Direction.OUT else "mail.received"
        is_new = standing == self.new.message
        taken = audit.Act(
            self.clock.now(),
            self.actor,
            act if is_new else "mail.again",
            self.owner,
            standing,
            self.new.message_id_hmac,
        )
        if is_new and isinstance(self.duty, PreparedHold):
            return [taken, replace(taken, act="mail.held", result=self.duty.row.reason)]
        return [taken]

    @classmethod
    def do_all(cls, connection: Connection, acts: Sequence[Put]) -> list[int]:
        # First, and also for what stands already: whoever marks a key as kept must be right about it.
        keep_keys(connection, (put.key for put in acts))
        letters = [(put.owner, put.digested, put.new.message) for put in acts]
        standing = received.remember_all(connection, letters, max(put.new.received_ms for put in acts))
        fresh = [put for put, number in zip(acts, standing, strict=True) if number == put.new.message]
        if fresh:
            _put_fresh(connection, fresh)
        pairs = zip(acts, standing, strict=True)
        audit.write(connection, [act for put, number in pairs for act in put._acts(number)])
        return standing


def _put_fresh(connection: Connection, puts: Sequence[Put]) -> None:
    """Rows of what was not here before."""
    used: dict[int, int] = {}
    entries: dict[tuple[int, str], list[folders.NewEntry]] = {}
    duties: list[tuple[int, tasks.NewTask]] = []
    by_key = {(put.owner, put.key.epoch): put.reseals for put in puts if put.reseals is not None}
    duties += [(owner, duty) for (owner, _), duty in by_key.items()]
    for put in puts:
        new = put.new
        if put.placing.counts:
            used[put.owner] = used.get(put.owner, 0) + new.size_bytes
        if isinstance(put.duty, PreparedHold):
            put.duty.put(connection)
            continue
        if (duty := put.duty or put.owes) is not None:
            duties.append((put.owner, duty))
        if put.duty is not None:
            continue
        entry = folders.NewEntry(new.message, put.placing.flags, put.placing.keywords, new.received_ms, new.size_bytes)
        entries.setdefault((put.owner, put.placing.folder), []).append(entry)
    messages.insert_messages(connection, [(put.owner, put.new) for put in puts])
    owners.add_used_by(connection, used)
    if duties:
        tasks.add_tasks(connection, duties)
    if entries:  # every mailbox is born with its folders
        folders.append_by_use(connection, entries, max(put.new.received_ms for put in puts))
    for put in puts:
        if put.placing.waits is not None:
            unanswered.begin(connection, put.owner, put.new.message, put.placing.waits, put.new.received_ms)
            unanswered.settle(connection, put.owner, [put.new.message], put.new.received_ms)
