"""CDA headers: the 16 documents of ANS against a committed table, and what may go wrong."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.formats.cda import CdaPatient, given_names, read_header
from mss.formats.cdafiles import embedded_files, embedded_pdf
from mss.formats.cdarender import render
from mss.formats.cdatree import CdaId
from mss.formats.xdmwrite import entry_from_cda
from mss.model.document import Visibility
from mss.model.errors import Malformed
from mss.model.ids import Ins
from mss.model.people import Sex
from mss.model.verdict import Reason
from tests.kit.documents import BIOLOGIST, HUGO, MOMENT, ZOE, an_uuid, make_cda, make_pdf
from tests.kit.hostile import DOCUMENTS
from tests.kit.samples import CHECKOUT, samples_dir

TABLE: dict[str, dict[str, Any]] = json.loads((CHECKOUT / "tests/data/ans_cda.json").read_text(encoding="utf-8"))
CDA = make_cda()


def sample(name: str) -> bytes:
    """A document of ANS, which lies beside the checkout or nowhere."""
    folder = samples_dir()
    if folder is None:
        pytest.skip("the ANS samples are not on this machine")
    return Path(folder, "cda", name).read_bytes()


@pytest.mark.parametrize("name", TABLE)
def test_a_document_of_ans_tells_whose_and_what_it_is(name: str) -> None:
    """Identity, type, author and parent of each, wrong keys and unknown authorities included."""
    header = read_header(sample(name))
    patient, expected = header.patient, TABLE[name]
    (ins_id,) = patient.ins_ids
    traits = patient.traits
    assert traits is not None
    assert {
        "unique_id": header.id.unique_id,
        "ins": ins_id.extension,
        "oid": ins_id.root,
        "ins_key_is_right": any(ins.key_is_right for ins in patient.ins()),
        "birth_name": traits.birth_name,
        "first_given_name": traits.first_given_name,
        "given_names": list(traits.given_names),
        "used_name": patient.used_name,
        "birth_date": traits.birth_date.isoformat(),
        "sex": traits.sex.value,
        "birth_place": traits.birth_place,
        "title": header.title,
        "type": header.code.code,
        "version": header.version,
        "replaces": [parent.unique_id for parent in header.replaces],
        "author": header.authors[0].person_id,
        "institution": header.authors[0].institution_id,
        "body": header.body_media_type,
        "pdfs": expected["pdfs"],  # the next test
    } == expected


@pytest.mark.parametrize("name", TABLE)
def test_the_reading_copy_of_a_document_of_ans_is_a_pdf(name: str) -> None:
    """A copy is found exactly where the table says that there is one; an attached certificate is none."""
    pdfs = [file for file in embedded_files(sample(name)) if file.media_type == "application/pdf"]
    assert [file.is_copy for file in pdfs] == TABLE[name]["pdfs"]
    copy = embedded_pdf(sample(name))
    assert (copy is not None) == any(TABLE[name]["pdfs"])
    assert copy is None or copy.startswith(b"%PDF-")


@pytest.mark.parametrize("name", TABLE)
def test_a_document_of_ans_gets_a_whole_fiche(name: str) -> None:
    """All that the record requires is in the header (CI-SIS)."""
    data = sample(name)
    entry = entry_from_cda(read_header(data), data, entry_uuid=an_uuid(1))
    assert all((entry.unique_id, entry.title, entry.sha1, entry.type.code, entry.class_.code, entry.format.code))
    assert all((entry.facility.code, entry.practice.code, entry.legal_authenticator, entry.patient_id))
    assert entry.creation_time is not None
    assert entry.service_start is not None
    assert entry.size_bytes == len(data)


@pytest.mark.parametrize(
    ("step", "version", "replaced"),
    [("initial", "1", []), ("replace", "2", ["81"]), ("delete", "2", ["81"])],
)
def test_the_documents_inside_hl7_messages_of_ans_are_read(step: str, version: str, replaced: list[str]) -> None:
    """OBX-5 of the MDM messages: the same report, its replacement, its withdrawal; base64 without padding."""
    folder = samples_dir()
    if folder is None:
        pytest.skip("the ANS samples are not on this machine")
    (message,) = (path for path in Path(folder, "hl7v2", step).glob("message*") if path.stat().st_size > 10_000)
    found = re.search(rb"OBX\|1\|ED\|[^\r\n]*Base64\^([A-Za-z0-9+/=]+)", message.read_bytes())
    assert found
    data = base64.b64decode(found[1] + b"==")
    header = read_header(data)
    assert header.patient.birth_name == "PAT-TROIS"
    assert header.version == version
    assert [parent.unique_id[-2:] for parent in header.replaces] == replaced
    assert header.body_media_type == "application/pdf"
    assert embedded_pdf(data) is not None


def test_our_own_report_is_read_as_it_was_meant() -> None:
    """Identity, local number, author, moment: each where CI-SIS puts it."""
    header = read_header(CDA)
    assert header.patient.ins() == (ZOE.ins,)
    assert header.patient.traits == ZOE.traits
    assert header.patient.used_name == "ÉCHANTILLON"
    assert [identifier.extension for identifier in header.patient.ids] == [ZOE.ins.value, "IPP-1"]
    assert header.authors == (BIOLOGIST,)
    assert header.effective_time == MOMENT
    assert header.set_id == CdaId("1.2.250.1.999.1.2", "1")
    assert (header.facility.code, header.practice.code) == ("SA25", "AMBULATOIRE")


@pytest.mark.parametrize("visibility", Visibility)
def test_visibility_flags_are_confidentiality_codes(visibility: Visibility) -> None:
    """A flag of TRE_A07 stands beside N."""
    codes = [code.code for code in read_header(make_cda(visibility=visibility)).confidentiality]
    assert codes == (["N"] if visibility is Visibility.NORMAL else ["N", visibility.value])


def test_a_replacement_names_its_parent_and_version() -> None:
    """relatedDocument RPLC, in the form of the XDS uniqueId."""
    header = read_header(make_cda(replaces="1.2.3^ABC", version=2))
    assert [parent.unique_id for parent in header.replaces] == ["1.2.3^ABC"]
    assert header.version == "2"


def test_the_copy_and_the_level_1_body_come_out_as_they_went_in() -> None:
    """Byte for byte, and nothing where there is none."""
    pdf = make_pdf()
    assert embedded_pdf(make_cda(embedded_pdf=pdf)) == pdf
    assert embedded_pdf(make_cda(body_pdf=pdf)) == pdf
    assert read_header(make_cda(body_pdf=pdf)).body_media_type == "application/pdf"
    assert embedded_pdf(CDA) is None


@pytest.mark.parametrize(
    ("first", "listed", "expected"),
    [
        ("Ruth", "Ruth Isabelle", ("Ruth", "Isabelle")),
        ("Anne Lise", "Anne Lise Maud", ("Anne Lise", "Maud")),
        ("ANNE", "Anne Maud", ("ANNE", "Maud")),
        ("", "Anne Maud", ("Anne", "Maud")),
        ("Anne", "", ("Anne",)),
        ("Maud", "Anne Maud", ("Maud", "Anne")),
        ("", "", ()),
    ],
)
def test_first_names_begin_with_the_marked_one(first: str, listed: str, expected: tuple[str, ...]) -> None:
    """A first name of two words is one first name."""
    assert given_names(first, listed) == expected


def changed(before: str, after: str) -> bytes:
    text = CDA.decode()
    assert before in text
    return text.replace(before, after).encode()


def test_a_foreign_name_without_qualifiers_is_a_birth_name() -> None:
    """family and given alone are the legal name."""
    text = changed(' qualifier="BR"', "").decode()
    traits = read_header(text.encode()).patient.traits
    assert traits is not None
    assert traits.birth_name == "MARCHAND-ESSAI"
    assert traits.given_names[0] == "Zoé"


def test_the_legal_name_is_found_among_several() -> None:
    """A pseudonym in front does not hide the birth name."""
    header = read_header(changed("<patient>", '<patient><name use="P"><family>STAR</family><given>Zed</given></name>'))
    assert header.patient.birth_name == "MARCHAND-ESSAI"


def test_missing_traits_are_missing() -> None:
    """Nobody is filed on half an identity."""
    assert read_header(changed('value="19900203"', 'nullFlavor="UNK"')).patient.traits is None
    assert read_header(changed('code="F"', 'nullFlavor="UNK"')).patient.traits is None
    assert read_header(changed('code="F"', 'code="UN"')).patient.sex is Sex.UNKNOWN


def test_several_ins_are_all_told() -> None:
    """The bridge must see a contradiction, not the first of two."""
    oid, value = HUGO.ins.oid.value, HUGO.ins.value
    header = read_header(changed("<patientRole>", f'<patientRole><id root="{oid}" extension="{value}"/>'))
    assert set(header.patient.ins()) == {HUGO.ins, ZOE.ins}


def test_a_wrong_key_is_no_crash() -> None:
    """A real authority with a wrong key gives no INS but keeps the identifier; a test one is marked."""
    real = CdaPatient((CdaId("1.2.250.1.213.1.4.8", "221042545611404"),))
    assert (real.ins(), len(real.ins_ids)) == ((), 1)
    test = CdaPatient((CdaId("1.2.250.1.213.1.4.10", "221042545611404"),))
    assert test.ins() == (Ins.parse("221042545611404", "1.2.250.1.213.1.4.10"),)
    assert not test.ins()[0].key_is_right
    assert CdaPatient((CdaId("1.2.250.1.213.1.4.13", "221042545611404"),)).ins_ids == ()


def test_an_hour_without_zone_is_a_french_hour() -> None:
    """Noon in a French laboratory is not noon in London."""
    header = read_header(
        changed('<effectiveTime value="20260105103000+0100"/>', '<effectiveTime value="20260105103000"/>')
    )
    assert header.effective_time == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_every_declared_encoding_is_read(encoding: str) -> None:
    """Accents survive, with and without a byte order mark."""
    declared = encoding.replace("-sig", "")
    data = CDA.decode().replace("encoding='UTF-8'", f"encoding='{declared}'").encode(encoding)
    assert read_header(data).patient.given_names == ZOE.traits.given_names


def test_blank_lines_before_the_document_are_forgiven() -> None:
    """Some writers begin with an empty line."""
    assert read_header(b"\r\n  " + CDA).id == read_header(CDA).id


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_is_refused(name: str) -> None:
    """Each by every reader, for one reason, with no content in the words of the log."""
    build, reason = DOCUMENTS[name]
    data = build()
    start = datetime.now(UTC)
    for read in (read_header, render):
        with pytest.raises(Malformed) as refused:
            read(data)
        assert refused.value.reason is reason
        assert "MARCHAND" not in refused.value.detail
    assert (datetime.now(UTC) - start).total_seconds() < 2


def test_a_file_without_its_padding_is_read() -> None:
    """Some writers cut the equals signs off."""
    pdf = make_pdf("12")
    padded = base64.b64encode(pdf)
    assert padded.endswith(b"=")
    assert embedded_pdf(make_cda(body_pdf=pdf).replace(padded, padded.rstrip(b"="))) == pdf


def test_an_embedded_file_that_is_no_base64_is_refused() -> None:
    """Half a PDF is no PDF."""
    broken = make_cda(body_pdf=make_pdf()).replace(b"JVBE", b"****JVBE", 1)
    with pytest.raises(Malformed, match="not base64"):
        embedded_files(broken)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(CDA) - 1), st.text(max_size=20), st.integers(0, 60))
def test_a_mutated_document_is_read_or_refused(place: int, inserted: str, cut: int) -> None:
    """Whatever bytes change, every reader answers with a value or with our own error."""
    data = CDA[:place] + inserted.encode("utf-8", "surrogatepass") + CDA[place + cut :]
    for read in (read_header, embedded_files, render):
        try:
            read(data)
        except Malformed as refused:
            assert refused.reason is Reason.CDA_BROKEN  # noqa: PT017 — either outcome is right


def test_the_birth_date_of_the_table_is_a_date() -> None:
    """Control of the table itself: a wrong entry would be a test of nothing."""
    assert all(date.fromisoformat(row["birth_date"]) for row in TABLE.values())
    assert len(TABLE) == 16
