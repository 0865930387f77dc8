"""The trust list as XML: the real one's shape, and what is not that shape."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats import trustlist
from mss.formats.dn import DistinguishedName
from mss.formats.trustlist import NAMESPACE, TrustEntry
from mss.model.errors import BadValue

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LAB = DistinguishedName.parse("CN=smtp.labo.mssante.example,OU=312345678900013,O=LABO,ST=Rhône (69),C=FR")
ENTRY = TrustEntry("labo.mssante.example", LAB, "Laboratoire <test> & fils", "", "aide@labo.mssante.example", NOW)
LISTED = trustlist.render([ENTRY], NOW)
PARSE_CPU_S_MAX = 3.0  # a third of it is what we promise on the reference machine


def test_what_was_rendered_is_read_back() -> None:
    """Domain, certificate, contacts and dates survive."""
    listing = trustlist.parse(LISTED)
    assert listing.generated_at == NOW
    assert listing.entries == (ENTRY,)
    assert trustlist.generated_at(LISTED) == NOW


def test_the_rendered_form_is_that_of_the_real_list() -> None:
    """Root, namespace, and the six children of an entry in their order."""
    text = LISTED.decode()
    assert text.startswith("<?xml version='1.0' encoding='UTF-8'?>\n<ListeBlancheMSSante xmlns=\"" + NAMESPACE)
    order = ["DateDeGeneration", "ListeDomaines", "Domaine", "Nom", "Description", "DNCertificatOperateur"]
    order += ["ResponsableContact", "SupportContact", "DateMAJ"]
    places = [text.index(f"<{name}") for name in order]
    assert places == sorted(places)
    assert "<DateMAJ>2026-01-05T09:00:00Z</DateMAJ>" in text


def test_domains_are_compared_in_lower_case_and_in_a_labels() -> None:
    """Lists of former years held names with accents."""
    text = LISTED.replace(b">labo.mssante.example<", ">Clinique-Élan.mssante.example<".encode())
    assert trustlist.parse(text).entries[0].domain == "xn--clinique-lan-jeb.mssante.example"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (">labo.mssante.example<", ">not a domain<"),
        (">labo.mssante.example<", "><"),
        (">CN=smtp", ">smtp"),
    ],
)
def test_an_entry_that_cannot_be_read_lets_nobody_in_and_locks_nobody_out(old: str, new: str) -> None:
    """It is counted, and the others stand."""
    other = TrustEntry("chu.mssante.example", LAB, updated_at=NOW)
    text = trustlist.render([ENTRY, other], NOW).decode().replace(old, new, 1)
    listing = trustlist.parse(text.encode())
    assert [entry.domain for entry in listing.entries] == ["chu.mssante.example"]
    assert listing.unreadable == 1


def test_a_sloppy_date_of_an_entry_locks_nobody_out() -> None:
    """DateMAJ is for people; the date of the list is not."""
    text = LISTED.replace(b"<DateMAJ>2026-01-05T09:00:00Z", b"<DateMAJ>2026-02-31T09:00:00Z")
    assert trustlist.parse(text).entries[0].updated_at is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ListeBlancheMSSante", "ListeNoire"),
        (NAMESPACE, "https://ailleurs.example/schema"),
        ("<DateDeGeneration>2026-01-05T09:00:00Z</DateDeGeneration>", ""),
        ("<DateDeGeneration>2026-01-05T09:00:00Z", "<DateDeGeneration>2026-13-05T09:00:00Z"),
        ("<DateDeGeneration>2026-01-05T09:00:00Z", "<DateDeGeneration>2026-01-05T09:00:00+01:00"),
        ("<Description>Laboratoire &lt;test&gt; &amp; fils</Description>", ""),
        ("</Domaine>", "<Nom>chu.mssante.example</Nom></Domaine>"),
        ("labo.mssante.example<", "labo<!-- -->.mssante.example<"),
        ("labo.mssante.example<", "labo<?x?>.mssante.example<"),
        ("labo.mssante.example<", "labo.mssante.example<b/><"),
        ("</ListeDomaines>", "</ListeDomaines><ListeDomaines/>"),
        ("</ListeDomaines>", "<Autre/></ListeDomaines>"),
        ("</ListeBlancheMSSante>", ""),
        ("<ListeBlanche", '<!DOCTYPE x [<!ENTITY e "labo">]><ListeBlanche'),
        ("encoding='UTF-8'?>", "encoding='UTF-8'?><!DOCTYPE x>"),
        ("Laboratoire", "Labo&autre;"),
    ],
)
def test_a_list_of_another_shape_is_refused_whole(old: str, new: str) -> None:
    """Half a list is not a list."""
    text = LISTED.decode()
    assert old in text
    with pytest.raises(BadValue):
        trustlist.parse(text.replace(old, new).encode())


def test_a_doctype_does_not_hide_in_another_encoding() -> None:
    """UTF-16 would carry it past a search for ASCII."""
    text = LISTED.decode().replace("encoding='UTF-8'?>", "encoding='UTF-16'?><!DOCTYPE x>")
    with pytest.raises(BadValue):
        trustlist.parse(text.encode("utf-16"))


def test_a_doctype_is_seen_before_the_parser_meets_it() -> None:
    """What follows it is never read; and nothing but UTF-8 is."""
    with pytest.raises(BadValue, match="DOCTYPE"):
        trustlist.parse(b"<!DOCTYPE x [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><x y='&b;'")
    with pytest.raises(BadValue, match="well-formed"):
        trustlist.parse(LISTED.decode().replace("UTF-8", "UTF-16").encode("utf-16"))


def test_a_list_beyond_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and entries are limited."""
    monkeypatch.setattr(trustlist, "ENTRIES_MAX", 1)
    with pytest.raises(BadValue, match="entries"):
        trustlist.parse(trustlist.render([ENTRY, ENTRY], NOW))
    monkeypatch.setattr(trustlist, "BYTES_MAX", 100)
    with pytest.raises(BadValue, match="bytes"):
        trustlist.parse(LISTED)


@given(st.integers(0, len(LISTED) - 1), st.integers(0, 255))
def test_damage_gives_a_list_or_our_error(place: int, octet: int) -> None:
    """Whatever one octet becomes."""
    damaged = LISTED[:place] + bytes([octet]) + LISTED[place + 1 :]
    for read in (trustlist.parse, trustlist.generated_at):
        try:
            read(damaged)
        except BadValue:
            pass


@given(st.integers(0, len(LISTED) - 5))
def test_a_truncated_list_is_refused(length: int) -> None:
    """At whatever octet it ends."""
    with pytest.raises(BadValue):
        trustlist.parse(LISTED[:length])


def test_the_real_list_is_read_in_a_second(samples: Path) -> None:
    """6,494 entries of the national list, every one readable, and printed names read back."""
    octets = (samples / "trustlist" / "listeblanche-unsigned.xml").read_bytes()
    start = time.process_time()
    listing = trustlist.parse(octets)
    spent = time.process_time() - start
    print(f"\nreal trust list: {len(listing.entries)} entries in {spent:.2f} s of CPU")
    assert (len(listing.entries), listing.unreadable) == (6494, 0)
    assert len({entry.domain for entry in listing.entries}) == 4944
    assert spent < PARSE_CPU_S_MAX
    names = {entry.certificate for entry in listing.entries}
    assert {DistinguishedName.parse(str(name)) for name in names} == names
    assert len(names) == 383  # 391 texts: eight names are written in two or three ways
