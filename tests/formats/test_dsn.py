"""Notifications of delivery: what other servers read, what the doctor reads, and what they must not tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.dsn import (
    Action,
    Dsn,
    RecipientStatus,
    explain,
    read_dsn,
    subject_of,
    unreachable,
    write_dsn,
)
from mss.formats.report import Heading
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from tests.formats.test_mdn import ORIGINAL, assert_fit_to_send, parsed, parts, raw_part

MOMENT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 10, 9, 0, tzinfo=UTC)
FAILED = RecipientStatus(
    "dr.martin@ville.mssante.example",
    Action.FAILED,
    "5.2.1",
    original_recipient="Dr.Martin@ville.mssante.example",
    diagnostic="550 5.2.1 Mailbox disabled, not accepting messages",
    remote_mta="mx.ville.mssante.example",
    last_attempt=MOMENT,
    reason=Reason.MAILBOX_CLOSED,
)
DELAYED = RecipientStatus(
    "chu@chu.mssante.example", Action.DELAYED, "4.4.1", will_retry_until=LATER, reason=Reason.PEER_UNREACHABLE
)
RELAYED = RecipientStatus("b@labo.mssante.example", Action.RELAYED, "2.0.0")
DELIVERED = RecipientStatus("c@labo.mssante.example", Action.DELIVERED, "2.1.5")
DSN = Dsn("relay.labo.mssante.example", (FAILED, DELAYED, RELAYED, DELIVERED), arrival=MOMENT, envelope_id="QQ314159")
HEADING = Heading(
    message_id="<d1@labo.mssante.example>",
    date=MOMENT,
    sender=MailAddress.parse("postmaster@labo.mssante.example"),
    sender_name="Messagerie sécurisée",
    recipient=MailAddress.parse("bio@labo.mssante.example"),
    subject=subject_of(DSN),
    in_reply_to="<m1@labo.mssante.example>",
)


def test_each_recipient_is_told_to_machines() -> None:
    """The fields of RFC 3464, one group for the message and one for each recipient."""
    raw = write_dsn(HEADING, DSN, ORIGINAL)
    assert_fit_to_send(raw)
    message = parsed(raw)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<m1@labo.mssante.example>"
    assert message["Subject"] == "Message non distribué (Undelivered Mail Returned to Sender)"
    _, machine, _ = parts(raw)
    assert machine.get_content_type() == "message/delivery-status"
    groups = [dict(group.items()) for group in machine.get_payload()]  # type: ignore[union-attr]
    assert groups[0] == {
        "Original-Envelope-Id": "QQ314159",
        "Reporting-MTA": "dns; relay.labo.mssante.example",
        "Arrival-Date": "Mon, 05 Jan 2026 09:00:00 +0000",
    }
    assert groups[1] == {
        "Original-Recipient": "rfc822; Dr.Martin@ville.mssante.example",
        "Final-Recipient": "rfc822; dr.martin@ville.mssante.example",
        "Action": "failed",
        "Status": "5.2.1",
        "Remote-MTA": "dns; mx.ville.mssante.example",
        "Diagnostic-Code": "smtp; 550 5.2.1 Mailbox disabled, not accepting messages",
        "Last-Attempt-Date": "Mon, 05 Jan 2026 09:00:00 +0000",
    }
    assert groups[2] == {
        "Final-Recipient": "rfc822; chu@chu.mssante.example",
        "Action": "delayed",
        "Status": "4.4.1",
        "Will-Retry-Until": "Sat, 10 Jan 2026 09:00:00 +0000",
    }
    assert [(group["Action"], group["Status"]) for group in groups[3:]] == [
        ("relayed", "2.0.0"),
        ("delivered", "2.1.5"),
    ]


def test_a_doctor_understands_what_happened_and_what_to_do() -> None:
    """French first, then English; each recipient once in each language, with the reason in words."""
    text = parts(write_dsn(HEADING, DSN, ORIGINAL))[0].get_content()
    french, english = text.split("-- English --")
    assert "Votre message n'a pas été distribué à :" in french
    assert "Cherchez une autre adresse dans l'Annuaire Santé." in french
    assert "Réponse de son serveur : 550 5.2.1 Mailbox disabled" in french
    assert "nos essais continuent" in french
    assert "Derniers essais le 10/01/2026" in french
    assert "pas d'accusé de remise" in french
    assert "This mailbox is closed." in english
    for recipient in DSN.recipients:
        shown = recipient.original_recipient or recipient.final_recipient
        assert french.count(shown) == english.count(shown) == 1


@pytest.mark.parametrize("reason", [None, *Reason])
@pytest.mark.parametrize("action", Action)
def test_every_reason_has_words(reason: Reason | None, action: Action) -> None:
    """In both languages, and never a word of the machine."""
    french, english = explain(RecipientStatus("a@b.example", action, "5.0.0", reason=reason))
    assert french.endswith(".")
    assert english.endswith(".")
    assert french != english
    assert reason is None or reason.value not in french.split()


def test_the_header_comes_back_by_default_and_the_whole_on_demand() -> None:
    """The sender has the message; what returns may cross the same narrow way."""
    raw = write_dsn(HEADING, DSN, ORIGINAL)
    assert parts(raw)[2].get_content_type() == "text/rfc822-headers"
    assert raw_part(raw, 3) == ORIGINAL[: ORIGINAL.index(b"\r\n\r\n") + 2]
    assert raw_part(write_dsn(HEADING, DSN, ORIGINAL, whole=True), 3) == ORIGINAL


def test_all_unreachable_patients_are_told_alike() -> None:
    """Unknown, objected, closed, dead: but for address and ids, the same bytes; and no story can be added."""
    addresses = ("279035121518989@patient.mssante.example", "187019912345678@patient.mssante.example")
    mails = [
        write_dsn(
            HEADING, Dsn("relay.patient.mssante.example", (unreachable(address),)), b"Subject: x\r\n\r\n"
        ).replace(address.encode(), b"ADDRESS")
        for address in addresses
    ]
    assert mails[0] == mails[1]
    assert b"Status: 5.1.0" in mails[0]
    assert b"Diagnostic-Code" not in mails[0]
    for story in ({"diagnostic": "550 5.1.1 unknown"}, {"remote_mta": "mx.example"}, {"last_attempt": MOMENT}):
        with pytest.raises(BadValue):
            replace(unreachable(addresses[0]), **story)


@pytest.mark.parametrize(
    ("recipients", "words"),
    [
        ((DELAYED,), "Message retardé"),
        ((DELIVERED, RELAYED), "Accusé de réception"),
        ((RELAYED, FAILED), "non distribué"),
    ],
)
def test_the_subject_tells_the_worst(recipients: tuple[RecipientStatus, ...], words: str) -> None:
    """One failure among many makes it a failure."""
    assert words in subject_of(replace(DSN, recipients=recipients))


def test_what_we_write_we_read() -> None:
    """All but the reason, which is ours alone."""
    read = read_dsn(raw_part(write_dsn(HEADING, DSN, ORIGINAL), 2))
    assert read == replace(DSN, recipients=tuple(replace(one, reason=None) for one in DSN.recipients))


def test_a_postfix_notification_is_read() -> None:
    """Comments after the action, unknown fields, folded diagnostics, LF line ends."""
    read = read_dsn(
        b"Reporting-MTA: dns; mx.example\nX-Postfix-Queue-ID: 4Xyz\nX-Postfix-Sender: rfc822; a@b.example\n"
        b"Arrival-Date: Mon,  5 Jan 2026 10:00:00 +0100 (CET)\n\n"
        b"Final-Recipient: rfc822; c@d.example\nOriginal-Recipient: rfc822;C@d.example\nAction: failed (bounced)\n"
        b"Status: 5.1.1 (unknown)\nRemote-MTA: dns; mx.d.example\n"
        b"Diagnostic-Code: smtp; 550 5.1.1\n    <c@d.example>: User unknown\n\n\n"
        b"Action: failed\nStatus: 5.0.0\n"
    )
    (recipient,) = read.recipients
    assert read.arrival == MOMENT
    assert (recipient.final_recipient, recipient.original_recipient) == ("c@d.example", "C@d.example")
    assert (recipient.action, recipient.status) == (Action.FAILED, "5.1.1")
    assert recipient.diagnostic.split() == ["550", "5.1.1", "<c@d.example>:", "User", "unknown"]
    assert recipient.remote_mta == "mx.d.example"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Reporting-MTA: dns; mx.example\r\n",
        b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: perhaps\r\nStatus: 5.0.0\r\n",
        b"Reporting-MTA: dns; x\r\n\r\n" + b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\n\r\n" * 101,
    ],
)
def test_what_is_no_notification_is_malformed(content: bytes) -> None:
    """Nobody named, no known action, too many."""
    with pytest.raises(Malformed):
        read_dsn(content)


@given(st.binary(max_size=300))
def test_garbage_gives_our_error_only(content: bytes) -> None:
    """Whatever stands in the part."""
    for start in (b"", b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: "):
        try:
            read_dsn(start + content)
        except Malformed:
            pass


@given(st.text(max_size=1500), st.text(max_size=300))
def test_the_words_of_another_server_stay_in_their_field(diagnostic: str, envelope_id: str) -> None:
    """Line ends and long lines in a reply of a peer add no field, no part, no recipient."""
    dsn = replace(DSN, recipients=(replace(FAILED, diagnostic=diagnostic),), envelope_id=envelope_id)
    raw = write_dsn(HEADING, dsn, ORIGINAL)
    assert_fit_to_send(raw)
    assert len(parts(raw)) == 3
    (recipient,) = read_dsn(raw_part(raw, 2)).recipients
    assert (recipient.final_recipient, recipient.status) == (FAILED.final_recipient, "5.2.1")


@pytest.mark.parametrize("status", ["", "5", "5.1", "3.1.1", "5.1.1 x", "5.1.1\r\nX: y"])
def test_a_status_is_checked_at_birth(status: str) -> None:
    """RFC 3463: class, subject, detail."""
    with pytest.raises(BadValue):
        replace(FAILED, status=status)


def test_a_notification_names_somebody() -> None:
    """And at most as many as a transaction."""
    for recipients in ((), (FAILED,) * 101):
        with pytest.raises(BadValue):
            replace(DSN, recipients=recipients)
