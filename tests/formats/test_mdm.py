"""Messages for a hospital's record: equal to the examples of ANS, and safe whatever stands in names and subjects."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.hl7v2 import ACK_BYTES_MAX, Ack, AckCode, frame, read_ack, text
from mss.formats.mdm import DOCUMENT_BYTES_MAX, Ends, Letter, Mdm, MdmEvent, Unit, write_mdm
from mss.formats.transfer import decode_base64
from mss.model.document import Author, Coded, DocumentEntry, Visibility
from mss.model.errors import BadValue
from mss.model.ids import Ins, InsOid
from mss.model.people import IdentityTraits, Sex
from tests.kit.hl7peer import Message, read_message

DIFFERENCES: dict[str, str] = json.loads(
    (Path(__file__).parents[1] / "data" / "mdm_differences.json").read_text(encoding="utf-8")
)
EXAMPLES = {
    "initial/message_MDM__LPS_MSS_CR_Radio_INIT_N1.er7": MdmEvent.ORIGINAL,
    "initial/message_MDM__LPS_MSS_CR_Radio_INIT_N1_Base64.er7": MdmEvent.ORIGINAL,
    "replace/message_MDM__LPS_MSS_CR_Radio_RPLC_N1.er7": MdmEvent.REPLACED,
    "delete/message_MDM__LPS_MSS_CR_Radio_DEL_N1.er7": MdmEvent.WITHDRAWN,
}
MOMENT = datetime(2021, 6, 6, 7, 31, tzinfo=UTC)
ENTRY = DocumentEntry(
    unique_id="1.2.250.1.999.1^7",
    title="Compte rendu",
    mime_type="text/xml",
    size_bytes=3,
    sha1="",
    type=Coded("11502-2", "2.16.840.1.113883.6.1", "CR d'examens biologiques"),
    class_=Coded("11"),
)
PLAIN = Mdm(
    ends=Ends("PFI", "CHU-ESSAI", "DPI", "CHU-ESSAI", "T"),
    event=MdmEvent.ORIGINAL,
    control_id="42",
    written_at=MOMENT,
    recorded_at=MOMENT,
    ins=Ins.parse("279035121518989", InsOid.NIR_TEST),
    traits=IdentityTraits("PAT-TROIS", ("DOMINIQUE",), date(1979, 3, 28), Sex.FEMALE, "63220"),
    identity_is_sure=True,
    entry=ENTRY,
    content=b"cda",
    letter=Letter("1", "Sujet", "Bonjour", "bio@labo.mssante.example", "dpi@chu.mssante.example"),
)


def _example(samples: Path, name: str) -> Message:
    """The files have LF where the standard has CR."""
    return read_message((samples / "hl7v2" / name).read_bytes().rstrip(b"\n").replace(b"\n", b"\r"))


def _differing(ours: Message, example: Message) -> set[str]:
    """Fields by name, where one message says something else than the other."""
    assert [one[0] for one in ours.segments] == [one[0] for one in example.segments]
    names = [one[0] for one in ours.segments]
    return {
        f"{mine[0]}{'' if names.count(mine[0]) == 1 else f'[{names[:place].count(mine[0]) + 1}]'}-{at + (place == 0)}"
        for place, (mine, theirs) in enumerate(zip(ours.segments, example.segments, strict=True))
        for at in range(1, max(len(mine), len(theirs)))
        if ours.field(mine, at) != example.field(theirs, at)
    }


def _as_in(example: Message, event: MdmEvent) -> Mdm:
    """What an example says, in our values."""
    code, label, _ = example.of("OBR", 4).split("^")
    sender, recipient, reply = (example.of("PRT", 15, at).split("^")[3] for at in range(3))
    person, family, given_name = example.of("PRT", 5).split("^")[:3]
    unit = example.of("PRT", 8, 1).split("^")
    number, subject = example.of("OBX", 3, 1).split("^")
    flags = {
        Visibility.MASKED_FROM_PRACTITIONERS: 2,
        Visibility.HIDDEN_FROM_PATIENT: 3,
        Visibility.HIDDEN_FROM_REPRESENTATIVES: 4,
    }
    return replace(
        PLAIN,
        ends=Ends(*(example.of("MSH", at) for at in (3, 4, 5, 6, 11))),
        event=event,
        control_id=example.of("MSH", 10),
        entry=replace(
            ENTRY,
            unique_id=example.of("TXA", 12).split("^")[0],
            type=Coded(code, "2.16.840.1.113883.6.1", label),
            authors=(Author(person_id=example.of("TXA", 22)),),
            creation_time=MOMENT,
            source_patient_info=(f"PID-11|{example.of('PID', 11)}",),
        ),
        content=decode_base64(example.of("OBX", 5).split("^")[4].encode()),
        letter=Letter(
            message_id=number,
            subject=subject,
            words=base64.b64decode(example.of("OBX", 5, 1).split("^")[4]).decode(),
            sender=sender,
            recipient=recipient,
            reply_to=reply,
            sent_by=Author(person_id=person, person_name=f"{given_name} {family}"),
        ),
        visibility=frozenset(flag.value for flag, at in flags.items() if example.of("OBX", 5, at)[0] == "Y"),
        visibility_changed=example.of("OBX", 5, 5)[0] == "Y",
        replaces=example.of("TXA", 13).split("^")[0],
        unit=Unit(unit[0], unit[5], unit[6], unit[9]),
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_our_message_is_the_example_of_ans(samples: Path, name: str) -> None:
    """The same segments in the same order; each field is equal, or its difference is explained."""
    example = _example(samples, name)
    found = _differing(read_message(write_mdm(_as_in(example, EXAMPLES[name]))), example)
    assert found <= set(DIFFERENCES), found - set(DIFFERENCES)


def test_every_explained_difference_is_one(samples: Path) -> None:
    """The table holds nothing that would hide a fault."""
    examples = {name: _example(samples, name) for name in EXAMPLES}
    found = [_differing(read_message(write_mdm(_as_in(one, EXAMPLES[name]))), one) for name, one in examples.items()]
    assert set().union(*found) == set(DIFFERENCES)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_name_and_no_subject_breaks_out_of_its_field(name: str, subject: str) -> None:
    """Separators, line ends and framing octets in what strangers wrote stay in their component."""
    told = replace(
        PLAIN,
        traits=replace(PLAIN.traits, birth_name=name),
        letter=replace(PLAIN.letter, subject=subject, reply_to=""),
    )
    wanted, written = write_mdm(PLAIN).count(b"\r"), write_mdm(told)
    assert written.count(b"\r") == wanted
    assert not set(written) & ({*range(0x20), 0x7F} - {0x0D})
    message = read_message(written)
    assert [len(one) for one in message.segments if one[0] != "OBX"] == [
        len(one) for one in read_message(write_mdm(PLAIN)).segments if one[0] != "OBX"
    ]
    assert message.of("PID", 5).count("^") == 6
    assert frame(written).count(b"\x1c") == 1


@pytest.mark.parametrize(
    ("told", "written"),
    [
        (
            "1 rue des Tilleuls^^EXEMPLE^^99999^FRA^H^^99123",
            "1 rue des Tilleuls^^EXEMPLE^^99999^FRA^H~^^^^^^BDL^^63220",
        ),
        (r"Ty Gwenn \T\ fils^^EXEMPLE", r"Ty Gwenn \T\ fils^^EXEMPLE~^^^^^^BDL^^63220"),
        ("1 quai^^EXEMPLE^^^^O", "^^^^^^BDL^^63220"),
        ("^^^^^^BDL^^75056", "^^^^^^BDL^^63220"),
    ],
)
def test_the_home_that_metadata_tells_is_told_on(told: str, written: str) -> None:
    """A place of work is not; the birth place is the one that we know."""
    entry = replace(ENTRY, source_patient_info=("PID-5|X", f"PID-11|{told}"))
    assert read_message(write_mdm(replace(PLAIN, entry=entry))).of("PID", 11) == written


def test_separators_are_spelled_out() -> None:
    """An ampersand in a structure's name reaches the hospital as an ampersand."""
    assert text("Tilleuls & Fils | a^b~c\\d") == r"Tilleuls \T\ Fils \F\ a\S\b\R\c\E\d"


def test_the_same_values_give_the_same_octets() -> None:
    """A message that is sent again is the same message."""
    assert write_mdm(PLAIN) == write_mdm(replace(PLAIN))


def test_identifiers_with_extension_are_split_as_the_profile_says() -> None:
    """`extension^^root^ISO`, and the root alone where there is no extension."""
    assert read_message(write_mdm(PLAIN)).of("TXA", 12) == "7^^1.2.250.1.999.1^ISO"
    whole = replace(PLAIN, entry=replace(ENTRY, unique_id="1.2.250.1.999.7"))
    assert read_message(write_mdm(whole)).of("TXA", 12) == "1.2.250.1.999.7"


def test_a_pdf_travels_under_its_own_type() -> None:
    """A receiver that knows only CDA can refuse it in words; it is never called XML."""
    message = read_message(write_mdm(replace(PLAIN, entry=replace(ENTRY, mime_type="application/pdf"))))
    assert message.of("OBX", 5).startswith("^application^pdf^Base64^")


def test_what_is_too_large_is_refused() -> None:
    """Nobody's memory is filled by one document."""
    with pytest.raises(BadValue):
        write_mdm(replace(PLAIN, content=bytes(DOCUMENT_BYTES_MAX + 1)))


MSH = rb"MSH|^~\&|DPI|CHU|PFI|CHU|20210606||ACK^T02^ACK|9|P|2.6|||||FRA|8859/15" + b"\r"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"MSA|AA|42\r", Ack(AckCode.ACCEPT, "42")),
        (b"MSA|CA|42\r", Ack(AckCode.COMMIT_ACCEPT, "42")),
        (b"MSA|AR|42|\xe9t\xe9\r", Ack(AckCode.REJECT, "42")),
        (
            b"MSA|AE|42\rERR||MSH^1^12|203^Unsupported version id^messageErrorCondition|E\r",
            Ack(AckCode.ERROR, "42", 203),
        ),
        (
            b"MSA|AE|42\rERR||PID^1^3|207^Application error^x| E|902^Identifiant de patient inconnu^y\r",
            Ack(AckCode.ERROR, "42", 207, 902),
        ),
        (b"MSA|AE|42\rERR||||E\rERR|||207|E|904^x\r", Ack(AckCode.ERROR, "42", 207, 904)),
    ],
)
def test_an_acknowledgement_is_understood(answer: bytes, meaning: Ack) -> None:
    """Codes of the guide's own examples, in either character set, with newlines of either kind."""
    assert read_ack(MSH + answer) == meaning
    assert read_ack((MSH + answer).replace(b"\r", b"\r\n")) == meaning


@pytest.mark.parametrize("name", ["initial", "replace", "delete"])
def test_the_acknowledgements_of_ans_are_understood(samples: Path, name: str) -> None:
    """They accept message 015."""
    assert read_ack((samples / "hl7v2" / name / "ack.er7").read_bytes()) == Ack(AckCode.ACCEPT, "015")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400", MSH, MSH + b"MSA|OK|42\r", MSH * 300, bytes(ACK_BYTES_MAX + 1)]
)
def test_an_answer_that_is_none_is_no_answer(answer: bytes) -> None:
    """It counts as nothing said: the message is sent again."""
    with pytest.raises(BadValue):
        read_ack(answer)


@given(st.binary(max_size=300))
def test_garbage_raises_our_error_only(answer: bytes) -> None:
    """Whatever a peer says."""
    try:
        read_ack(MSH + answer)
    except BadValue:
        pass
