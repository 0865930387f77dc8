"""IHE_XDM archives: read as real senders spoil them, written as the profile asks."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mss.formats.hl7values import clean, parse_cx
from mss.formats.xdm import XdmDocument, XdmPackage, is_package, read_package
from mss.formats.xdmwrite import PackageToWrite, write_package
from mss.formats.xdsvalues import Folder, SubmissionSet
from mss.model.document import Author, Coded, DocumentEntry
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from tests.kit.dirtyzip import DIALECTS, dirty, members, pack
from tests.kit.documents import (
    MOMENT,
    SENDER,
    ZOE,
    an_uuid,
    describe,
    describe_file,
    make_cda,
    make_package,
    make_pdf,
)

METADATA = "IHE_XDM/SUBSET01/METADATA.XML"
CDA = make_cda()
PACKAGE = make_package(CDA)


def with_metadata(change: str, into: str) -> bytes:
    """The archive with one text of its metadata replaced."""
    files = members(PACKAGE)
    text = files[METADATA].decode()
    assert change in text
    return pack({**files, METADATA: text.replace(change, into).encode()}.items())


def documents(package: XdmPackage) -> list[tuple[str, bytes]]:
    return [(document.entry.unique_id, document.content) for document in package.documents]


def test_a_package_gives_its_documents_with_what_they_claim() -> None:
    """The fiche carries patient, type, author, dates; the bytes are those that were sent."""
    package = read_package(PACKAGE)
    (document,) = package.documents
    entry = document.entry
    assert document.content == CDA
    assert parse_cx(entry.patient_id) == (ZOE.ins.value, ZOE.ins.oid.value)
    assert (entry.title, entry.type.code, entry.mime_type) == (
        "Compte rendu d'examens biologiques",
        "11502-2",
        "text/xml",
    )
    assert (entry.size_bytes, entry.creation_time) == (len(CDA), MOMENT)
    assert entry.authors[0].person_name == "Ada MARTIN"
    assert entry.authors[0].institution_name == "Laboratoire des Tilleuls & Fils"
    assert entry.authors[0].specialty_label == "Médecin - Biologie médicale (SM)"
    assert [code.code for code in entry.confidentiality] == ["N"]
    (submission,) = package.submissions
    assert submission.set.title == "Résultats"
    assert submission.set.submission_time == MOMENT
    assert package.unreferenced == 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_real_senders_is_read(dialect: str) -> None:
    """Folders lost, wrapped or renamed: the documents arrive all the same. Litter of file managers is not
    even counted, files that no metadata names are."""
    spoiled = dirty(PACKAGE, dialect)
    assert is_package(spoiled)
    package = read_package(spoiled)
    assert documents(package) == documents(read_package(PACKAGE))
    assert package.unreferenced == (2 if dialect == "extra-members" else 0)


def test_several_subsets_are_several_submissions() -> None:
    """SUBSET01 and SUBSET02 each keep their own documents, in order."""
    other = make_cda(unique_id="1.2.250.1.999.1.1^2", title="Second")
    second = {
        name.replace("SUBSET01", "SUBSET02"): content
        for name, content in members(make_package(other)).items()
        if "SUBSET" in name
    }
    package = read_package(pack({**members(PACKAGE), **second}.items()))
    assert [submission.documents[0].content for submission in package.submissions] == [CDA, other]
    assert [document.entry.title for document in package.documents][1] == "Second"


SLOPPY_URIS = (
    "doc00001.xml",
    "./DOC00001.XML",
    "IHE_XDM/SUBSET01/DOC00001.XML",
    "IHE_XDM\\SUBSET01\\DOC00001.XML",
    "DOC0000%31.XML",
)


@pytest.mark.parametrize("uri", SLOPPY_URIS)
def test_a_sloppy_uri_still_finds_its_document(uri: str) -> None:
    """Case, a dot and a path from the root are forgiven."""
    assert read_package(with_metadata(">DOC00001.XML<", f">{uri}<")).documents[0].content == CDA


def test_a_uri_in_pieces_is_joined() -> None:
    """Long URIs come numbered, in any order."""
    pieces = "2|01.XML</rim:Value><rim:Value>1|DOC000"
    assert read_package(with_metadata(">DOC00001.XML<", f">{pieces}<")).documents[0].content == CDA


def test_a_hash_in_capitals_is_the_same_hash() -> None:
    """Hexadecimal has no case."""
    sha1 = read_package(PACKAGE).documents[0].entry.sha1
    assert read_package(with_metadata(sha1, sha1.upper())).documents[0].entry.sha1 == sha1


def test_an_absent_hash_is_told() -> None:
    """The bridge may want to know that nothing vouched for the bytes."""
    sha1 = read_package(PACKAGE).documents[0].entry.sha1
    document = read_package(with_metadata(f"<rim:Value>{sha1}</rim:Value>", "")).documents[0]
    assert not document.hash_was_declared
    assert document.entry.sha1 == sha1


def test_the_missing_document_is_named_by_its_place_only() -> None:
    """The log says which, and nothing about whom."""
    files = {name: content for name, content in members(PACKAGE).items() if "DOC00001" not in name}
    with pytest.raises(Malformed) as broken:
        read_package(pack(files.items()))
    assert broken.value.reason is Reason.METADATA_BROKEN
    assert broken.value.detail == "document 1 is not in the archive"


@pytest.mark.parametrize("prefix", ["ns2", "", "RIM"])
def test_other_prefixes_and_cases_of_ebrim_are_read(prefix: str) -> None:
    """Real writers use their own prefixes, and some get the case of element names wrong."""
    files = members(PACKAGE)
    text = files[METADATA].decode()
    if prefix:
        text = text.replace("rim:", f"{prefix}:").replace("xmlns:rim", f"xmlns:{prefix}")
    else:
        text = (
            text.replace("rim:", "").replace("xmlns:rim", "xmlns").replace("<Slot", "<slot").replace("</Slot", "</slot")
        )
    assert documents(read_package(pack({**files, METADATA: text.encode()}.items()))) == documents(read_package(PACKAGE))


def test_the_quirks_of_the_ans_kit_are_read() -> None:
    """Ampersands escaped twice, members that nothing has, comments everywhere, a byte order mark."""
    files = members(PACKAGE)
    text = files[METADATA].decode().replace("&amp;1.2.250.1.213.1.4.10&amp;", "&amp;amp;1.2.250.1.213.1.4.10&amp;amp;")
    text = text.replace(f'targetObject="{an_uuid(1)}"', f'targetObject="{an_uuid(99)}"')
    text = text.replace(">\n", "><!-- ===== -->\n").replace(
        "<?xml version='1.0' encoding='UTF-8'?><!-- ===== -->\n", ""
    )
    (document,) = read_package(pack({**files, METADATA: text.encode("utf-8-sig")}.items())).documents
    assert parse_cx(document.entry.patient_id) == (ZOE.ins.value, ZOE.ins.oid.value)
    assert document.entry.title == "Compte rendu d'examens biologiques"


def test_the_requested_action_travels() -> None:
    """C replaces, D withdraws, as ANS writes it; a first transmission says nothing."""
    package = read_package(make_package(describe(CDA, 1, action="D")))
    assert package.documents[0].action == "D"
    assert read_package(PACKAGE).documents[0].action == ""


def test_a_replacement_names_what_it_replaces() -> None:
    """RPLC reaches the fiche and the list of associations."""
    package = read_package(make_package(make_cda(replaces="1.2.250.1.999.1.1^0", version=2)))
    assert package.documents[0].entry.replaces == "1.2.250.1.999.1.1^0"
    links = [(link.kind, link.target) for link in package.submissions[0].associations]
    assert ("RPLC", "1.2.250.1.999.1.1^0") in links


def test_an_unknown_confidentiality_code_is_kept_as_sent() -> None:
    """Which flags we honour is the bridge's to say."""
    spoiled = with_metadata('nodeRepresentation="N"', 'nodeRepresentation="SECRET_X"')
    assert read_package(spoiled).documents[0].entry.confidentiality[0].code == "SECRET_X"


def test_a_submission_set_known_by_its_identifier_alone_is_found() -> None:
    """A writer that forgets the classification is still understood; a folder too."""
    node = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
    assert read_package(with_metadata(node, "urn:uuid:0")).submissions[0].set.title == "Résultats"
    folder = '<rim:RegistryPackage id="f"><rim:Classification classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"/></rim:RegistryPackage>'  # noqa: E501
    spoiled = with_metadata("</rim:RegistryObjectList>", f"{folder}</rim:RegistryObjectList>")
    assert read_package(spoiled).submissions[0].folders == (Folder("", entry_uuid="f"),)


def test_an_ordinary_zip_is_no_package() -> None:
    """Recognised by content, never by name."""
    assert not is_package(pack([("IHE_XDM/README.TXT", b"")]))
    assert not is_package(make_pdf())
    assert is_package(PACKAGE)


def test_the_archive_is_laid_out_as_the_profile_says() -> None:
    """IHE ITI TF-2 §3.32: index and readme at the root, names of eight capitals and three."""
    package = make_package(CDA, describe_file(make_pdf(), "application/pdf", describe(CDA).entry))
    names = zipfile.ZipFile(BytesIO(package)).namelist()
    assert names[:3] == ["INDEX.HTM", "README.TXT", METADATA]
    assert all(re.fullmatch(r"[A-Z0-9_]{1,8}(\.[A-Z0-9]{1,3})?", part) for name in names for part in name.split("/"))
    assert names[3:] == ["IHE_XDM/SUBSET01/DOC00001.XML", "IHE_XDM/SUBSET01/DOC00002.PDF"]
    readme = members(package)["README.TXT"].decode()
    assert "Ada MARTIN" in readme
    assert "IHE_XDM/SUBSET01/DOC00002.PDF" in readme
    assert "README.TXT" in members(package)["INDEX.HTM"].decode()


def test_the_same_values_give_the_same_bytes() -> None:
    """A crash between two sends cannot make two different archives."""
    assert make_package(make_cda()) == PACKAGE


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30).map(clean)
IDS = st.from_regex(r"[0-9]\.[0-9]{1,9}(\^[A-Za-z0-9]{1,8})?", fullmatch=True)
CODES = st.builds(Coded, WORDS.filter(bool), IDS, WORDS)
MOMENTS = st.none() | st.datetimes(datetime(1980, 1, 1), datetime(2107, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
AUTHORS = st.builds(Author, IDS, WORDS, IDS, WORDS, WORDS, WORDS)
CODE_OR_NONE = CODES | st.just(Coded(""))
ENTRIES = st.builds(
    DocumentEntry, IDS, WORDS, st.sampled_from(["text/xml", "application/pdf", "image/x-odd"]), st.just(0), st.just(""),
    CODE_OR_NONE, CODE_OR_NONE, CODE_OR_NONE, st.lists(CODES, max_size=3).map(tuple), CODE_OR_NONE, CODE_OR_NONE,
    st.lists(AUTHORS, max_size=2).map(tuple), WORDS, WORDS, WORDS, st.lists(WORDS.filter(bool), max_size=3).map(tuple),
    MOMENTS, MOMENTS, MOMENTS, WORDS,
    logical_id=WORDS, version=WORDS, replaces=IDS, comments=WORDS, event_codes=st.lists(CODES, max_size=2).map(tuple),
    repository_unique_id=WORDS, home_community_id=WORDS,
)  # fmt: skip
DOCUMENTS = st.lists(
    st.builds(XdmDocument, ENTRIES, st.binary(max_size=200), st.sampled_from(["", "C", "D"])), max_size=3, min_size=1
)
SETS = st.builds(
    SubmissionSet, IDS, IDS, WORDS, WORDS, MOMENTS, CODE_OR_NONE, st.lists(AUTHORS, max_size=2).map(tuple), WORDS
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SETS, DOCUMENTS)
def test_what_is_written_is_read_again(submission: SubmissionSet, sent: list[XdmDocument]) -> None:
    """Reader and writer agree on every field, whatever characters people put into it."""
    submission = replace(submission, entry_uuid=an_uuid(0))
    numbered = tuple(
        replace(document, entry=replace(document.entry, entry_uuid=an_uuid(number)))
        for number, document in enumerate(sent, 1)
    )
    read = read_package(write_package(PackageToWrite(submission, numbered, SENDER)))
    assert read.submissions[0].set == submission
    for document, original in zip(read.documents, numbered, strict=True):
        assert (document.content, document.action) == (original.content, original.action)
        entry = document.entry
        assert entry == replace(original.entry, uri=entry.uri, size_bytes=len(original.content), sha1=entry.sha1)
