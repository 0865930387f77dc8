"""May this sender, this recipient, this message come in or go out?

Rules are asked in order; the first that answers decides. A rule reads facts and answers a verdict, or None for
"no opinion". Rules never act, and never see a body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mss.model.ids import MailAddress
from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict

RECEIVED_FIELDS_MAX = 50
"""More hops than any honest path has: a loop (RFC 5321 §6.3 asks for at least 100 only of general relays)."""


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """MAIL FROM of a login. (What a peer may say is judged by directory/trust.)"""

    sender: MailAddress | None
    may_use: frozenset[str]
    """Keys of the addresses that the login may use, of those in question."""


def sender_belongs_to_the_login(facts: SenderFacts) -> Verdict | None:
    """A login writes under its own addresses, those of a team it belongs to, or of somebody who lets it."""
    if facts.sender is None or facts.sender.key in facts.may_use:
        return None
    return Refuse(Reason.SENDER_NOT_OF_LOGIN)


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """RCPT TO and what is known of it."""

    domain_is_ours: bool
    domain_is_trusted: bool
    may_relay: bool
    """True at submission: a login may write to the whole trust space, a peer only to us."""
    is_patient_address: bool
    ins_key_is_right: bool = True
    accepts_test_identities: bool = False
    mailbox_state: AccountState | None = None
    """Of a professional mailbox; None when there is none. Never looked at for patients."""
    over_quota: bool = False


def recipient_is_inside_the_trust_space(facts: RecipientFacts) -> Verdict | None:
    """Nothing leaves the trust space, and a peer does not use us as a relay."""
    if facts.domain_is_ours:
        return None
    if not facts.may_relay:
        return Refuse(Reason.RECIPIENT_NOT_OURS)
    return Accept() if facts.domain_is_trusted else Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE)


def patient_address_is_well_formed(facts: RecipientFacts) -> Verdict | None:
    """A well-formed patient address is always taken, whoever exists; a mistyped key is told at once."""
    if not facts.is_patient_address:
        return None
    if facts.ins_key_is_right or facts.accepts_test_identities:
        return Accept()
    return Refuse(Reason.RECIPIENT_MALFORMED)


def mailbox_takes_mail(facts: RecipientFacts) -> Verdict | None:
    """A professional mailbox says what it is: unknown, closed, suspended, full."""
    if facts.mailbox_state is None:
        return Refuse(Reason.MAILBOX_UNKNOWN)
    if facts.mailbox_state in (AccountState.CLOSED, AccountState.READ_ONLY):
        return Refuse(Reason.MAILBOX_CLOSED)
    if facts.mailbox_state is AccountState.SUSPENDED:
        return Later(Reason.MAILBOX_SUSPENDED)
    return Later(Reason.MAILBOX_OVER_QUOTA) if facts.over_quota else None


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What the pre-scan found in the header, and the envelope."""

    sender: MailAddress | None
    recipients: int
    by_login: bool
    may_use: frozenset[str]
    """Submission: keys of the addresses that the login may use, of those in question."""
    from_addresses: tuple[MailAddress, ...]
    from_is_readable: bool
    """False when a From field holds something that is not a plain address."""
    sender_addresses: tuple[MailAddress, ...]
    """Of every Sender field."""
    senders_are_readable: bool
    is_report: bool
    """multipart/report, or Auto-Submitted with another value than `no` (RFC 3834 §5)."""
    received_fields: int
    long_line_number: int
    """Number of the longest line over 998 octets (RFC 5322 §2.1.1), 0 when there is none."""
    own: frozenset[str] = frozenset()
    """Submission: those of `may_use` that are the login's or its teams' own, not lent to it."""
    login_has_a_name: bool = True
    """Submission: whether we know an address of whoever signed in, to name a delegate."""
    patients: frozenset[str] = frozenset()
    """Submission: patients among the recipients (keys)."""
    patients_shown: frozenset[str] = frozenset()
    """Submission: patients' addresses that To and Cc show."""
    header_is_broken: bool = False
    """The header ends at a line that is no field: what readers see behind it differs from reader to reader."""


def message_does_not_loop(facts: MessageFacts) -> Verdict | None:
    """Too many hops mean a loop."""
    return Refuse(Reason.MAIL_LOOP) if facts.received_fields > RECEIVED_FIELDS_MAX else None


def header_reads_alike_for_everybody(facts: MessageFacts) -> Verdict | None:
    """A From that some readers see and we do not would be judged by nobody."""
    return Refuse(Reason.HEADER_MALFORMED) if facts.header_is_broken else None


def null_sender_carries_a_report(facts: MessageFacts) -> Verdict | None:
    """`MAIL FROM:<>` is for reports: one recipient, report content or Auto-Submitted."""
    if facts.sender is not None or (facts.recipients == 1 and facts.is_report):
        return None
    return Refuse(Reason.NULL_SENDER_NOT_A_REPORT)


def from_is_one_address(facts: MessageFacts) -> Verdict | None:
    """Everybody shows whom a message is from: one address that our grammar accepts (RFC 5322 §3.6.2 narrowed)."""
    if len(facts.from_addresses) == 1 and facts.from_is_readable:
        return None
    return Refuse(Reason.FROM_NOT_SINGLE)


def from_belongs_to_the_login(facts: MessageFacts) -> Verdict | None:
    """The name that a reader sees is bound like the envelope. (For a peer, directory/trust says so.)"""
    if not facts.by_login or facts.from_addresses[0].key in facts.may_use:
        return None
    return Refuse(Reason.FROM_NOT_OF_LOGIN)


def sender_field_is_not_somebody_else(facts: MessageFacts) -> Verdict | None:
    """Submission: Sender says who pressed the button, so it names the login or its team, never whoever lent a name.
    (A peer's is shown to nobody.)"""
    own = facts.senders_are_readable and all(sender.key in facts.own for sender in facts.sender_addresses)
    return None if own or not facts.by_login else Refuse(Reason.FROM_NOT_OF_LOGIN)


def delegate_is_named(facts: MessageFacts) -> Verdict | None:
    """Who writes in another's name is named in Sender (RFC 5322 §3.6.2): by himself, else by us, who must know him."""
    if not facts.by_login or facts.from_addresses[0].key in facts.own or facts.sender_addresses:
        return None
    return None if facts.login_has_a_name else Refuse(Reason.FROM_NOT_OF_LOGIN)


def no_patient_reads_of_another(facts: MessageFacts) -> Verdict | None:
    """Submission: an address is an INS, so nobody but she herself may find it in her copy. Copies are never rewritten,
    since a signature would break: who names two is told to write to each."""
    seen_by_another = any(shown != reader for shown in facts.patients_shown for reader in facts.patients)
    return Refuse(Reason.PATIENTS_NAMED_TOGETHER) if facts.by_login and seen_by_another else None


def lines_can_be_sent_on(facts: MessageFacts) -> Verdict | None:
    """Submission: a line that no peer must take is refused here, with its number."""
    if not facts.by_login or not facts.long_line_number:
        return None
    return Refuse(Reason.LINE_TOO_LONG, str(facts.long_line_number))


@dataclass(frozen=True, slots=True)
class SizeFacts:
    """How large a message would leave, and how much each recipient's operator takes."""

    octets: int
    rooms: Mapping[str, int]
    """Domain → octets, where an operator said so lately."""
    attachments_octets: int = 0
    """Decoded."""
    patient_domain: str = ""
    """Ours, when a patient of ours is among the recipients."""


PATIENT_ATTACHMENTS_OCTETS_MAX = 25 * 1024 * 1024
"""What a patient's mailbox takes in all (ENS §6, second-hand)."""


def judge_size(facts: SizeFacts) -> Verdict:
    """Refused in words now, instead of returned by another operator an hour later."""
    for domain, room in sorted(facts.rooms.items()):
        if 0 < room < facts.octets:
            return Refuse(Reason.TOO_LARGE_FOR_RECIPIENT, f"{domain} {room}")
    if facts.patient_domain and facts.attachments_octets > PATIENT_ATTACHMENTS_OCTETS_MAX:
        return Refuse(Reason.TOO_LARGE_FOR_RECIPIENT, f"{facts.patient_domain} {PATIENT_ATTACHMENTS_OCTETS_MAX}")
    return Accept()


SENDER_RULES: tuple[Callable[[SenderFacts], Verdict | None], ...] = (sender_belongs_to_the_login,)
RECIPIENT_RULES: tuple[Callable[[RecipientFacts], Verdict | None], ...] = (
    recipient_is_inside_the_trust_space,
    patient_address_is_well_formed,
    mailbox_takes_mail,
)
MESSAGE_RULES: tuple[Callable[[MessageFacts], Verdict | None], ...] = (
    message_does_not_loop,
    header_reads_alike_for_everybody,
    null_sender_carries_a_report,
    from_is_one_address,
    from_belongs_to_the_login,
    sender_field_is_not_somebody_else,
    delegate_is_named,
    no_patient_reads_of_another,
    lines_can_be_sent_on,
)


def judge_sender(facts: SenderFacts) -> Verdict:
    """Ask each rule about MAIL FROM; accept when none objects."""
    return next((verdict for rule in SENDER_RULES if (verdict := rule(facts)) is not None), Accept())


def judge_recipient(facts: RecipientFacts) -> Verdict:
    """Ask each rule about RCPT TO; accept when none objects."""
    return next((verdict for rule in RECIPIENT_RULES if (verdict := rule(facts)) is not None), Accept())


def judge_message(facts: MessageFacts) -> Verdict:
    """Ask each rule about the message; accept when none objects."""
    return next((verdict for rule in MESSAGE_RULES if (verdict := rule(facts)) is not None), Accept())
