"""Every rule of the mail room's judge, in its order; every reason that it can give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mss.mail.policy import (
    RECEIVED_FIELDS_MAX,
    MessageFacts,
    RecipientFacts,
    SenderFacts,
    judge_message,
    judge_recipient,
    judge_sender,
)
from mss.model.ids import MailAddress
from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict

OWN = MailAddress.parse("dr.house@chu.mssante.example")
TEAM = MailAddress.parse("cardio@chu.mssante.example")
OTHER = MailAddress.parse("dr.wilson@chu.mssante.example")

PROFESSIONAL = RecipientFacts(
    domain_is_ours=True,
    domain_is_trusted=True,
    may_relay=False,
    is_patient_address=False,
    mailbox_state=AccountState.ACTIVE,
)
PATIENT = replace(PROFESSIONAL, is_patient_address=True, mailbox_state=None)
ELSEWHERE = replace(PROFESSIONAL, domain_is_ours=False, mailbox_state=None)

FROM_PEER = MessageFacts(
    sender=OWN,
    recipients=1,
    by_login=False,
    may_use=frozenset(),
    from_addresses=(OWN,),
    from_is_readable=True,
    sender_addresses=(),
    senders_are_readable=True,
    is_report=False,
    received_fields=1,
    long_line_number=0,
)
FROM_LOGIN = replace(
    FROM_PEER, by_login=True, may_use=frozenset({OWN.key, TEAM.key}), own=frozenset({OWN.key, TEAM.key})
)
IN_ANOTHERS_NAME = replace(
    FROM_LOGIN, may_use=frozenset({OWN.key, TEAM.key, OTHER.key}), from_addresses=(OTHER,), sender_addresses=(OWN,)
)

SENDERS: list[tuple[str, SenderFacts, Verdict]] = [
    ("own address", SenderFacts(OWN, frozenset({OWN.key})), Accept()),
    ("null sender", SenderFacts(None, frozenset()), Accept()),
    ("a colleague's address", SenderFacts(OTHER, frozenset({OWN.key})), Refuse(Reason.SENDER_NOT_OF_LOGIN)),
]

RECIPIENTS: list[tuple[str, RecipientFacts, Verdict]] = [
    ("active professional", PROFESSIONAL, Accept()),
    ("not come yet", replace(PROFESSIONAL, mailbox_state=AccountState.PROVISIONED), Accept()),
    ("unknown", replace(PROFESSIONAL, mailbox_state=None), Refuse(Reason.MAILBOX_UNKNOWN)),
    ("closed", replace(PROFESSIONAL, mailbox_state=AccountState.CLOSED), Refuse(Reason.MAILBOX_CLOSED)),
    ("suspended", replace(PROFESSIONAL, mailbox_state=AccountState.SUSPENDED), Later(Reason.MAILBOX_SUSPENDED)),
    ("full", replace(PROFESSIONAL, over_quota=True), Later(Reason.MAILBOX_OVER_QUOTA)),
    (
        "closed and full",
        replace(PROFESSIONAL, mailbox_state=AccountState.CLOSED, over_quota=True),
        Refuse(Reason.MAILBOX_CLOSED),
    ),
    ("patient", PATIENT, Accept()),
    ("patient, wrong key", replace(PATIENT, ins_key_is_right=False), Refuse(Reason.RECIPIENT_MALFORMED)),
    (
        "patient, wrong key, test identities",
        replace(PATIENT, ins_key_is_right=False, accepts_test_identities=True),
        Accept(),
    ),
    ("patient's box never refuses", replace(PATIENT, mailbox_state=AccountState.CLOSED, over_quota=True), Accept()),
    ("a peer uses us as a relay", ELSEWHERE, Refuse(Reason.RECIPIENT_NOT_OURS)),
    ("a login writes to the trust space", replace(ELSEWHERE, may_relay=True), Accept()),
    (
        "a login writes outside",
        replace(ELSEWHERE, may_relay=True, domain_is_trusted=False),
        Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE),
    ),
]

MESSAGES: list[tuple[str, MessageFacts, Verdict]] = [
    ("a peer's mail", FROM_PEER, Accept()),
    ("a login's mail", FROM_LOGIN, Accept()),
    ("the last honest hop", replace(FROM_PEER, received_fields=RECEIVED_FIELDS_MAX), Accept()),
    ("a loop", replace(FROM_PEER, received_fields=RECEIVED_FIELDS_MAX + 1), Refuse(Reason.MAIL_LOOP)),
    ("a header that ends twice", replace(FROM_PEER, header_is_broken=True), Refuse(Reason.HEADER_MALFORMED)),
    ("a report", replace(FROM_PEER, sender=None, is_report=True), Accept()),
    ("nobody's letter", replace(FROM_PEER, sender=None), Refuse(Reason.NULL_SENDER_NOT_A_REPORT)),
    (
        "a report to two",
        replace(FROM_PEER, sender=None, is_report=True, recipients=2),
        Refuse(Reason.NULL_SENDER_NOT_A_REPORT),
    ),
    ("no From", replace(FROM_PEER, from_addresses=()), Refuse(Reason.FROM_NOT_SINGLE)),
    ("two From", replace(FROM_PEER, from_addresses=(OWN, OTHER)), Refuse(Reason.FROM_NOT_SINGLE)),
    ("one From and a riddle", replace(FROM_PEER, from_is_readable=False), Refuse(Reason.FROM_NOT_SINGLE)),
    ("a peer's From is judged elsewhere", replace(FROM_PEER, from_addresses=(OTHER,)), Accept()),
    ("a team's From", replace(FROM_LOGIN, from_addresses=(TEAM,)), Accept()),
    ("a colleague's From", replace(FROM_LOGIN, from_addresses=(OTHER,)), Refuse(Reason.FROM_NOT_OF_LOGIN)),
    ("own Sender", replace(FROM_LOGIN, from_addresses=(TEAM,), sender_addresses=(OWN,)), Accept()),
    ("a colleague's Sender", replace(FROM_LOGIN, sender_addresses=(OTHER,)), Refuse(Reason.FROM_NOT_OF_LOGIN)),
    (
        "own Sender and a colleague's",
        replace(FROM_LOGIN, sender_addresses=(OWN, OTHER)),
        Refuse(Reason.FROM_NOT_OF_LOGIN),
    ),
    ("a Sender that is a riddle", replace(FROM_LOGIN, senders_are_readable=False), Refuse(Reason.FROM_NOT_OF_LOGIN)),
    ("in another's name, named", IN_ANOTHERS_NAME, Accept()),
    ("in another's name, to be named by us", replace(IN_ANOTHERS_NAME, sender_addresses=()), Accept()),
    (
        "in another's name by nobody whom we can name",
        replace(IN_ANOTHERS_NAME, sender_addresses=(), login_has_a_name=False),
        Refuse(Reason.FROM_NOT_OF_LOGIN),
    ),
    (
        "a Sender that hides the delegate",
        replace(IN_ANOTHERS_NAME, sender_addresses=(OTHER,)),
        Refuse(Reason.FROM_NOT_OF_LOGIN),
    ),
    ("a peer's Sender", replace(FROM_PEER, sender_addresses=(OTHER,), senders_are_readable=False), Accept()),
    ("a peer's long line", replace(FROM_PEER, long_line_number=7), Accept()),
    ("a login's long line", replace(FROM_LOGIN, long_line_number=7), Refuse(Reason.LINE_TOO_LONG, "7")),
]

ORDER: list[tuple[str, MessageFacts, Reason]] = [
    ("a loop before all", replace(FROM_LOGIN, received_fields=99, header_is_broken=True), Reason.MAIL_LOOP),
    (
        "a broken header before what it says",
        replace(FROM_LOGIN, header_is_broken=True, sender=None),
        Reason.HEADER_MALFORMED,
    ),
    ("the envelope before From", replace(FROM_LOGIN, sender=None, from_addresses=()), Reason.NULL_SENDER_NOT_A_REPORT),
    ("a count before an owner", replace(FROM_LOGIN, from_addresses=(OTHER, OWN)), Reason.FROM_NOT_SINGLE),
    (
        "whose before how long",
        replace(FROM_LOGIN, from_addresses=(OTHER,), long_line_number=3),
        Reason.FROM_NOT_OF_LOGIN,
    ),
]


@pytest.mark.parametrize(("facts", "verdict"), [pytest.param(f, v, id=name) for name, f, v in SENDERS])
def test_who_may_be_the_sender(facts: SenderFacts, verdict: Verdict) -> None:
    """A login writes as itself or as its team."""
    assert judge_sender(facts) == verdict


@pytest.mark.parametrize(("facts", "verdict"), [pytest.param(f, v, id=name) for name, f, v in RECIPIENTS])
def test_who_may_be_written_to(facts: RecipientFacts, verdict: Verdict) -> None:
    """A professional's box says what it is; a patient's address says nothing."""
    assert judge_recipient(facts) == verdict


@pytest.mark.parametrize(("facts", "verdict"), [pytest.param(f, v, id=name) for name, f, v in MESSAGES])
def test_which_message_may_pass(facts: MessageFacts, verdict: Verdict) -> None:
    """Each rule, once kept and once broken."""
    assert judge_message(facts) == verdict


@pytest.mark.parametrize(("facts", "reason"), [pytest.param(f, r, id=name) for name, f, r in ORDER])
def test_the_first_broken_rule_is_told(facts: MessageFacts, reason: Reason) -> None:
    """Who breaks two rules hears of the first, always the same."""
    verdict = judge_message(facts)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is reason
