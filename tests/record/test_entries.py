"""A fiche survives its sealed form, exactly."""

from __future__ import annotations

import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from mss.model.document import Author, Coded, DocumentEntry
from mss.record import entries

codes = st.builds(Coded, code=st.text(max_size=20), system=st.text(max_size=20), label=st.text(max_size=20))
authors = st.builds(Author, *[st.text(max_size=20)] * 6)
moments = st.none() | st.datetimes(timezones=st.just(UTC))
texts = st.text(max_size=30)
fiches = st.builds(
    DocumentEntry,
    unique_id=texts,
    title=texts,
    mime_type=texts,
    size_bytes=st.integers(0, 1 << 40),
    sha1=texts,
    type=codes,
    class_=codes,
    format=codes,
    confidentiality=st.lists(codes, max_size=3).map(tuple),
    facility=codes,
    practice=codes,
    authors=st.lists(authors, max_size=3).map(tuple),
    legal_authenticator=texts,
    patient_id=texts,
    source_patient_id=texts,
    source_patient_info=st.lists(texts, max_size=4).map(tuple),
    creation_time=moments,
    service_start=moments,
    service_stop=moments,
    language=texts,
    entry_uuid=texts,
    logical_id=texts,
    set_id=texts,
    version=texts,
    replaces=texts,
    event_codes=st.lists(codes, max_size=3).map(tuple),
    comments=texts,
    uri=texts,
    repository_unique_id=texts,
    home_community_id=texts,
)


@given(fiches)
def test_a_fiche_comes_back_as_it_was(entry: DocumentEntry) -> None:
    """Every field, of every type."""
    assert entries.from_bytes(entries.to_bytes(entry)) == entry


@given(fiches)
def test_a_fiche_of_a_later_version_is_still_read(entry: DocumentEntry) -> None:
    """A field that we do not know is passed over; one that was not written has its default."""
    values = json.loads(entries.to_bytes(entry))
    values["invented_later"] = 1
    del values["comments"], values["event_codes"], values["facility"], values["service_stop"]
    read = entries.from_bytes(json.dumps(values).encode())
    assert (read.comments, read.event_codes, read.facility, read.service_stop) == ("", (), Coded(""), None)
    assert read.title == entry.title
