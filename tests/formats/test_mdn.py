"""Notifications of disposition: what the sender's software reads, what the doctor reads, and when none is sent."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.mdn import (
    CODES,
    LABELS,
    LABELS_ENGLISH,
    Disposition,
    ErrorCode,
    Mdn,
    MdnRequest,
    error_of,
    failure_subject,
    may_send_mdn,
    read_mdn,
    write_letter,
    write_mdn,
)
from mss.formats.report import ORIGINAL_BYTES_MAX, Heading
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.model.verdict import Reason

LABO = MailAddress.parse("labo@labo.mssante.example")
PATIENT = MailAddress.parse("279035121518989@patient.mssante.example")

HEADING = Heading(
    message_id="<answer1@patient.mssante.example>",
    date=datetime(2026, 1, 5, 10, 15, tzinfo=timezone(timedelta(hours=1))),
    sender=PATIENT,
    sender_name="Dominique PAT-TROIS née Été",
    recipient=LABO,
    subject="XDM/1.0/DDM+Résultats PAT-TROIS Dominique 28/03/1979",
    in_reply_to="<m1@labo.mssante.example>",
    references=("<m0@labo.mssante.example>",),
)
MDN = Mdn(str(PATIENT), "<m1@labo.mssante.example>", original_recipient=str(PATIENT), reporting_ua="mss; 0.1")
ORIGINAL = (
    b"From: <labo@labo.mssante.example>\r\nTo: <279035121518989@patient.mssante.example>\r\nSubject: x\r\n"
    b"Message-ID: <m1@labo.mssante.example>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nBonjour\r\n--b\r\n'
    b'Content-Type: application/zip; name="IHE_XDM.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"UEsDBA==\r\n--b--\r\n"
)


def parsed(raw: bytes) -> EmailMessage:
    """As the standard library reads it; no defect anywhere in our own parts."""
    message = email.message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    return message


def parts(raw: bytes) -> list[EmailMessage]:
    return cast(list[EmailMessage], list(parsed(raw).iter_parts()))


def raw_part(raw: bytes, number: int) -> bytes:
    """The octets of a part between its boundaries, header left out."""
    found = re.search(rb'boundary="([^"]+)"', raw)
    assert found
    piece = raw.split(b"\r\n--" + found[1] + b"\r\n")[number].split(b"\r\n--" + found[1] + b"--\r\n")[0]
    return piece.partition(b"\r\n\r\n")[2]


def assert_fit_to_send(raw: bytes, original: bytes = ORIGINAL) -> None:
    """Lines end with CRLF, none is too long, 8-bit octets only when declared."""
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    ours = raw.replace(original, b"")
    assert all(len(line) <= 78 or b" " not in line.strip() for line in ours.split(b"\r\n"))
    if not raw.isascii():
        assert b"\r\nContent-Transfer-Encoding: 8bit\r\n" in raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        assert ours.isascii()


def test_a_success_is_told_to_machine_and_doctor() -> None:
    """Each field of RFC 8098 and ANS in its place; the whole message comes back with its attachments."""
    raw = write_mdn(HEADING, MDN, ORIGINAL)
    assert_fit_to_send(raw)
    message = parsed(raw)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "disposition-notification"
    assert message["From"].addresses[0].addr_spec == str(PATIENT)
    assert message["From"].addresses[0].display_name == "Dominique PAT-TROIS née Été"
    assert message["To"].addresses[0].addr_spec == str(LABO)
    assert message["Subject"] == HEADING.subject
    assert message["Date"].datetime == HEADING.date
    assert message["Message-ID"] == HEADING.message_id
    assert message["In-Reply-To"] == "<m1@labo.mssante.example>"
    assert message["References"].split() == ["<m0@labo.mssante.example>", "<m1@labo.mssante.example>"]
    assert message["Auto-Submitted"] == "auto-replied"
    words, machine, original = parts(raw)
    assert words.get_content_type() == "text/plain"
    text = words.get_content()
    assert text.index("ont été intégrés au dossier") < text.index("were filed in the recipient's record")
    assert machine.get_content_type() == "message/disposition-notification"
    fields = machine.get_payload(0)
    assert dict(fields.items()) == {  # type: ignore[union-attr]
        "Reporting-UA": "mss; 0.1",
        "Original-Recipient": f"rfc822; {PATIENT}",
        "Final-Recipient": f"rfc822; {PATIENT}",
        "Original-Message-ID": "<m1@labo.mssante.example>",
        "Disposition": "automatic-action/MDN-sent-automatically; processed",
    }
    assert original.get_content_type() == "message/rfc822"
    assert raw_part(raw, 3) == ORIGINAL


def test_a_failure_carries_the_code_that_health_software_knows() -> None:
    """`processed/Error: 902^Patient inconnu`, the same in words, and which document."""
    mdn = replace(MDN, error=error_of(Reason.PATIENT_UNKNOWN))
    raw = write_mdn(HEADING, mdn, ORIGINAL, details=["Compte rendu d'été : retenu pour vérification"])
    assert_fit_to_send(raw)
    assert b"Disposition: automatic-action/MDN-sent-automatically;\r\n processed/Error: 902^Patient inconnu\r\n" in raw
    text = parts(raw)[0].get_content()
    assert "Motif 902 : Patient inconnu." in text
    assert "Reason 902: patient unknown." in text
    assert "  - Compte rendu d'été : retenu pour vérification\r\n" in text


@pytest.mark.parametrize("code", ErrorCode)
def test_every_label_survives_the_way(code: ErrorCode) -> None:
    """Machines get the label without accents, since their part is ASCII; doctors get French."""
    raw = write_mdn(HEADING, replace(MDN, error=f"{code.value}^{LABELS[code]}"), ORIGINAL)
    assert_fit_to_send(raw)
    assert re.search(rb"\r\n processed/Error: %d\^[ -~]+\r\nError:" % code.value, raw), "simple readers take one line"
    read = read_mdn(raw_part(raw, 2))
    assert read.error_code is code
    assert read.error.isascii()
    assert LABELS[code] in parts(raw)[0].get_content().replace("\n", " ")
    assert LABELS_ENGLISH[code] in parts(raw)[0].get_content()


def test_every_reason_of_the_bridge_has_a_code() -> None:
    """A new reason cannot be forgotten; those with a code of their own in the guide have that code."""
    names = list(Reason)
    bridge = names[names.index(Reason.PATIENT_UNKNOWN) : names.index(Reason.REFUSED_BY_STAFF) + 1]
    assert set(CODES) == set(bridge)
    told = {reason: code.value for reason, code in CODES.items() if code is not ErrorCode.OTHER}
    assert told == {
        Reason.VERSION_WRONG: 900,
        Reason.STATUS_CHANGE_ASKED: 900,
        Reason.ADDENDUM_MISPLACED: 900,
        Reason.NOT_THE_AUTHOR: 901,
        Reason.NOT_THE_MAILBOX: 901,
        Reason.PATIENT_UNKNOWN: 902,
        Reason.INS_MISSING: 903,
        Reason.INS_KEY_WRONG: 903,
        Reason.INS_MISMATCH: 904,
        Reason.INS_FORMER: 904,
        Reason.NAME_UNLIKE: 904,
        Reason.TRAITS_MISMATCH: 904,
        Reason.IMAGES_OF_SEVERAL: 904,
        Reason.IDENTITY_NOT_QUALIFIED: 904,
        Reason.INS_SAID_NOT_QUALIFIED: 904,
        Reason.TRAITS_INCOMPLETE: 905,
    }
    assert error_of(Reason.DISK_FULL).startswith("906^")


def test_the_subject_of_a_failure_says_so_once() -> None:
    """As the guide writes it; a failure about a failure does not pile up."""
    subject = failure_subject("902^Patient inconnu", "XDM/1.0/DDM+CR PAT-TROIS")
    assert subject == "[KO Intégration système !][902] XDM/1.0/DDM+CR PAT-TROIS"
    assert failure_subject("906^x", subject) == subject
    assert parsed(write_mdn(replace(HEADING, subject=subject), MDN, ORIGINAL))["Subject"] == subject


def test_a_reading_receipt_says_that_a_person_read() -> None:
    """manual-action, displayed."""
    raw = write_mdn(HEADING, replace(MDN, disposition=Disposition.DISPLAYED, by_person=True), ORIGINAL, whole=False)
    assert b"manual-action/MDN-sent-automatically; displayed" in raw.replace(b"\r\n ", b" ")
    assert "a été affiché" in parts(raw)[0].get_content()
    assert parts(raw)[2].get_content_type() == "text/rfc822-headers"
    assert b"UEsDBA" not in raw


def test_who_asked_for_no_receipt_gets_a_letter() -> None:
    """Same words and original, no machine part."""
    raw = write_letter(HEADING, replace(MDN, error=error_of(Reason.INS_MISSING)), ORIGINAL)
    assert_fit_to_send(raw)
    assert parsed(raw).get_content_type() == "multipart/mixed"
    assert [part.get_content_type() for part in parts(raw)] == ["text/plain", "message/rfc822"]
    assert "Motif 903" in parts(raw)[0].get_content()
    assert raw_part(raw, 2) == ORIGINAL


@pytest.mark.parametrize(
    "original",
    [
        "Subject: été\r\n\r\nl'été\r\n".encode(),
        b"Subject: x\r\n\r\nno line end",
        b"Subject: x\r\n\r\n" + b"a" * 998 + b"\r\n\r\n\r\n",
        b"Subject: header only\r\n",
    ],
)
def test_the_original_comes_back_octet_for_octet(original: bytes) -> None:
    """8-bit text, missing or many line ends at its end, long lines: nothing is touched."""
    raw = write_mdn(HEADING, MDN, original)
    assert_fit_to_send(raw, original)
    assert raw_part(raw, 3) == original
    if not original.isascii():
        assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n" in raw


@pytest.mark.parametrize(
    "original",
    [
        b"Subject: x\r\n\r\n" + b"a" * 999,
        b"Subject: x\r\n\r\na\nb",
        b"Subject: x\r\n\r\na\rb",
        b"Subject: x\r\n\r\na\0b",
        b"Subject: x\r\n\r\n" + b"a\r\n" * (ORIGINAL_BYTES_MAX // 3),
    ],
)
def test_what_cannot_travel_comes_back_as_header(original: bytes) -> None:
    """Too long, too large, or octets that no server takes: the header alone, so that the answer arrives at all."""
    raw = write_mdn(HEADING, MDN, original)
    assert_fit_to_send(raw)
    third = parts(raw)[2]
    assert third.get_content_type() == "text/rfc822-headers"
    assert raw_part(raw, 3) == b"Subject: x\r\n"


@pytest.mark.parametrize(
    "header",
    ["Subject: été\r\n".encode(), b"Subject: " + b"a" * 2000 + b"\r\n", b"Subject: a\rb\r\n", b"Subject: a\nb\r\n"],
)
def test_a_broken_header_is_encoded(header: bytes) -> None:
    """RFC 6522 §4: quoted-printable, and it reads back as it was."""
    raw = write_mdn(HEADING, MDN, header + b"\r\nbody", whole=False)
    assert_fit_to_send(raw)
    part = parts(raw)[2]
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert part.get_payload(decode=True) == header


def test_an_original_that_guesses_the_boundary_stays_inside() -> None:
    """The boundary is never one that the enclosed message holds."""
    first = re.search(rb'boundary="([^"]+)"', write_mdn(HEADING, MDN, ORIGINAL))
    assert first
    original = ORIGINAL + b"--" + first[1] + b"\r\n\r\nsmuggled\r\n--" + first[1] + b"--\r\n"
    raw = write_mdn(HEADING, MDN, original)
    assert len(parts(raw)) == 3
    assert raw_part(raw, 3) == original


def test_the_same_facts_give_the_same_bytes() -> None:
    """A task that runs twice sends the same mail."""
    assert write_mdn(HEADING, MDN, ORIGINAL) == write_mdn(HEADING, MDN, ORIGINAL)


_any_text = st.text(max_size=400)


@given(_any_text, _any_text, _any_text, st.lists(_any_text, max_size=2))
def test_no_text_breaks_out_of_its_place(subject: str, name: str, foreign: str, details: list[str]) -> None:
    """Line ends, quotes, encoded words, half characters from the sender's own header: no field and no part is added."""
    heading = replace(HEADING, subject=subject, sender_name=name, in_reply_to=foreign, references=(foreign,))
    mdn = replace(MDN, original_message_id=foreign, error=foreign, reporting_ua=name)
    raw = write_mdn(heading, mdn, ORIGINAL, details=details)
    assert_fit_to_send(raw)
    message = email.message_from_bytes(raw, policy=policy.compat32)
    assert set(message.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version",
        "Content-Type",
    }  # fmt: skip
    assert len(set(message.keys())) == len(message.keys())
    assert len(parts(raw)) == 3
    assert read_mdn(raw_part(raw, 2)).final_recipient == str(PATIENT)


@pytest.mark.parametrize("bad", [{"message_id": "no brackets"}, {"date": datetime(2026, 1, 5)}])
def test_our_own_ids_and_dates_are_checked_at_birth(bad: dict[str, object]) -> None:
    """A header without a usable Message-ID or zone is a fault of ours."""
    with pytest.raises(BadValue):
        replace(HEADING, **bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("manual-action/MDN-sent-manually; displayed", (Disposition.DISPLAYED, True, "")),
        ("Automatic-Action / mdn-sent-automatically ;DELETED", (Disposition.DELETED, False, "")),
        ("automatic-action/MDN-sent-automatically; processed/error", (Disposition.PROCESSED, False, "906")),
        (
            "automatic-action/MDN-sent-automatically; processed/Error: 904^INS différente",
            (Disposition.PROCESSED, False, "904^INS différente"),
        ),
        ("automatic-action/MDN-sent-automatically; dispatched/warning", (Disposition.DISPATCHED, False, "")),
    ],
)
def test_notifications_of_others_are_read(disposition: str, expected: tuple[Disposition, bool, str]) -> None:
    """In any case of letters, with folds, LF line ends and unknown fields."""
    content = (
        f"reporting-ua: other;\n\tv2\nFINAL-RECIPIENT: rfc822;a@b.example\nX-Unknown: 1\nDisposition: {disposition}\n\n"
    ).encode()
    read = read_mdn(content)
    assert (read.disposition, read.by_person, read.error) == expected
    assert read.final_recipient == "a@b.example"
    assert read.reporting_ua.split() == ["other;", "v2"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"Final-Recipient: rfc822; a@b\r\n",
        b"Final-Recipient: rfc822; a@b\r\nDisposition: hello\r\n",
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n",
        b"Final-Recipient: a\r\nDisposition: manual-action/MDN-sent-manually; eaten\r\n",
        b"".join(b"X-%d: 1\r\n" % n for n in range(100)),
        b"a: b\r\n\r\n" * 200,
        b"a" * 200_000,
    ],
)
def test_what_is_no_notification_is_malformed(content: bytes) -> None:
    """Missing fields, unknown words, too many, too much."""
    with pytest.raises(Malformed) as refused:
        read_mdn(content)
    assert refused.value.reason is Reason.HEADER_MALFORMED


@given(st.binary(max_size=300) | st.text(alphabet="a:; \n\t/-rfc822,disposition", max_size=300).map(str.encode))
def test_garbage_gives_our_error_only(content: bytes) -> None:
    """Whatever stands in the part."""
    for start in (b"", b"Final-Recipient: rfc822; a@b\r\nDisposition: "):
        try:
            read_mdn(start + content)
        except Malformed:
            pass


ASKED = MdnRequest(notify=[str(LABO)], return_path=LABO)


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"auto_submitted": "no"}, True),
        ({"options": "signed-receipt-protocol=optional,pkcs7-signature"}, True),
        ({"notify": ["labo@LABO.mssante.example"]}, True),
        ({"notify": []}, False),
        ({"notify": [str(LABO), str(LABO)]}, False),
        ({"notify": ["other@labo.mssante.example"]}, False),
        ({"notify": ["LABO@labo.mssante.example"]}, False),
        ({"notify": ["not an address"]}, False),
        ({"return_path": None}, False),
        ({"content_type": "multipart/report"}, False),
        ({"content_type": "Message/Disposition-Notification"}, False),
        ({"auto_submitted": "auto-replied"}, False),
        ({"auto_submitted": "auto-generated; x=1"}, False),
        ({"options": "signed-receipt-protocol=required,pkcs7-signature"}, False),
    ],
)
def test_a_receipt_is_sent_only_to_the_one_sender_who_asked(changes: dict[str, object], allowed: bool) -> None:
    """RFC 8098 §2.1: no receipt for reports or automata, to nobody, to others or to several."""
    assert may_send_mdn(replace(ASKED, **changes)) is allowed  # type: ignore[arg-type]
