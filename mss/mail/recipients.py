"""Who is behind an address of ours? Facts about a recipient, and the mailbox that takes its mail."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from mss.accounts import lifecycle
from mss.accounts.lifecycle import Wish
from mss.crypto.keys import Lookup
from mss.formats.parts import Structure
from mss.mail import letters
from mss.mail.policy import RecipientFacts, SizeFacts
from mss.model.clock import Clock
from mss.model.ids import MailAddress, Matricule, OwnerId, matricule_of
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.rights import SEND_AS_TEAM, letters_of
from mss.model.verdict import Accept
from mss.store import owners, peerrooms
from mss.store.database import Store
from mss.store.owners import WRITES, MailboxRow, Way
from mss.store.sql import Connection

POSTMASTER = "postmaster"
ROOM_KNOWN_MS = 14 * 24 * 3_600_000
"""How long we believe what another operator said of its limit: it may have raised it since."""
SMALL_OCTETS = 1024 * 1024
"""Every operator takes this much; nothing is looked up for it."""
NOBODY = OwnerId(0)
"""A number that no owner has."""
NAMED_S = 1.0
"""What was known of a mailbox at RCPT counts so long: as if the message had come a second sooner. (Of a patient's
nothing is looked at then.)"""
NAMED_MAX = 1000
"""As many connections as a door has; a forgotten one is looked up again."""
_NEVER: tuple[float, None] = (0.0, None)


@dataclass(frozen=True, slots=True)
class House:
    """What this operator is, as far as mail needs it."""

    host: str
    """Name in Received fields and greetings."""
    domains: frozenset[str]
    patient_domain: str
    accepts_test_identities: bool
    postmaster: MailAddress
    """The person who reads what is sent to postmaster@ any of our domains (RFC 5321 §4.5.1)."""
    unreachable_delay_max_s: int = 3000
    test_mailbox: MailAddress | None = None
    """Answers by itself what our door saw (mail/testmailbox.py)."""
    software: str = ""
    """Our product reference, for X-MSS-NIL of what we write ourselves; empty: none yet."""

    @property
    def nil_field(self) -> bytes:
        """X-MSS-NIL as a line of a header we write, or nothing."""
        return f"X-MSS-NIL: {self.software}\r\n".encode("ascii") if self.software else b""

    def matricule_of(self, address: MailAddress) -> Matricule | None:
        """The INS behind a patient's address, when the address has that shape."""
        return matricule_of(address) if address.domain == self.patient_domain else None


@dataclass(frozen=True, slots=True)
class Pens:
    """Under which addresses (keys) a login may write."""

    own: dict[str, OwnerId] = field(default_factory=dict)
    """Of its own mailbox, aliases too, and of teams of which it is a member."""
    lent: dict[str, OwnerId] = field(default_factory=dict)
    """Of mailboxes whose holders let it write in their name."""

    @property
    def all(self) -> frozenset[str]:
        return frozenset(self.own) | frozenset(self.lent)


class Recipients:
    """Looks recipients up, with the lookup key only."""

    def __init__(self, store: Store, lookup: Lookup, house: House, clock: Clock | None = None) -> None:
        """With a `clock`, what was found when a recipient was named serves once more when the message has come."""
        self._store = store
        self._lookup = lookup
        self._house = house
        self._clock = clock
        self._named: OrderedDict[str, tuple[float, MailboxRow]] = OrderedDict()

    async def facts(self, recipient: MailAddress, *, may_relay: bool, is_trusted: bool) -> RecipientFacts:
        """What the judge wants to know. A patient's existence is not looked at."""
        ours = recipient.domain in self._house.domains
        matricule = self._house.matricule_of(recipient)
        if not ours or matricule is not None:
            return RecipientFacts(
                domain_is_ours=ours,
                domain_is_trusted=is_trusted,
                may_relay=may_relay,
                is_patient_address=matricule is not None,
                ins_key_is_right=matricule is None or matricule.key_is_right,
                accepts_test_identities=self._house.accepts_test_identities,
            )
        box = await self.mailbox(recipient)
        if box is not None and self._clock is not None:
            self._named[recipient.key] = self._clock.monotonic_s(), box
            if len(self._named) > NAMED_MAX:
                self._named.popitem(last=False)
        is_test = self._house.test_mailbox is not None and recipient.key == self._house.test_mailbox.key
        return RecipientFacts(
            domain_is_ours=True,
            domain_is_trusted=True,
            may_relay=may_relay,
            is_patient_address=False,
            mailbox_state=AccountState.ACTIVE if is_test else None if box is None else box.state,
            over_quota=not is_test and box is not None and 0 < box.quota_bytes <= box.used_bytes,
        )

    async def mailbox(self, recipient: MailAddress) -> MailboxRow | None:
        """The mailbox that takes this address's mail; postmaster's goes to a person."""
        actual = self._house.postmaster if recipient.local.lower() == POSTMASTER else recipient
        hashed = self._lookup.address(actual.key)
        # Nobody's row is looked for too: an address that leads nowhere costs what another does.
        return await self._store.look_up(lambda c: owners.mailbox(c, owners.find(c, hashed) or NOBODY))

    async def reachable(self, recipient: MailAddress) -> MailboxRow | None:
        """The mailbox, when mail may be put into it: a closed or suspended patient looks like nobody."""
        seen_at_s, box = self._named.pop(recipient.key, _NEVER)
        if box is None or self._clock is None or self._clock.monotonic_s() - seen_at_s > NAMED_S:
            box = await self.mailbox(recipient)
        if box is None or box.state in (AccountState.CLOSED, AccountState.READ_ONLY, AccountState.SUSPENDED):
            return None
        return box

    async def size_facts(
        self, recipients: Collection[MailAddress], octets: int, structure: Structure, now_ms: int
    ) -> SizeFacts:
        """What is known of how much the operators of these take."""
        domains = {one.domain for one in recipients} - self._house.domains
        rooms: dict[str, int] = {}
        if domains and octets > SMALL_OCTETS:
            since_ms = now_ms - ROOM_KNOWN_MS
            rooms = await self._store.read(lambda c: peerrooms.rooms_of(c, sorted(domains), since_ms))
        to_patient = any(self._house.matricule_of(one) for one in recipients)
        patients = self._house.patient_domain if to_patient else ""
        return SizeFacts(octets, rooms, letters.attachments_octets(structure), patients)

    async def may_write_as(self, account: OwnerId, addresses: Collection[MailAddress]) -> Pens:
        """Which of these addresses a login may write under, and by what right, now."""
        hashed = {one.key: self._lookup.address(one.key) for one in addresses}

        def ask(connection: Connection) -> Pens:
            pens = Pens()
            if not _may_send(connection, account):
                return pens
            rights = dict(owners.memberships(connection, account))
            for key, hmac in hashed.items():
                owner = owners.find(connection, hmac, way=Way.OPEN)
                if owner is None or not (owner == account or _may_send(connection, owner)):
                    continue
                if rights.get(owner) == WRITES:
                    pens.lent[key] = owner
                elif owner == account or SEND_AS_TEAM in letters_of(rights.get(owner, "")):
                    pens.own[key] = owner
            return pens

        return await self._store.read(ask)


def _may_send(connection: Connection, owner: int) -> bool:
    """A patient writes through her pages, where she may only answer."""
    box = owners.mailbox(connection, owner)
    if box is None or box.kind is MailboxKind.PATIENT:
        return False
    return isinstance(lifecycle.judge(box.state, Wish.SEND), Accept)
