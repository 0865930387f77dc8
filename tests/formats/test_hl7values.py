"""HL7 texts: moments, identifiers, people, organisations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.hl7values import (
    clean,
    format_cx,
    format_local_time,
    format_time,
    format_xcn,
    format_xon,
    parse_cx,
    parse_date,
    parse_time,
    parse_xcn,
    parse_xon,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40).map(clean)
DIGITS = st.text("0123456789", min_size=1, max_size=15)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20240104160527+0100", datetime(2024, 1, 4, 15, 5, 27, tzinfo=UTC)),
        ("202101040735+0100", datetime(2021, 1, 4, 6, 35, tzinfo=UTC)),
        ("20240104160527.123-0530", datetime(2024, 1, 4, 21, 35, 27, tzinfo=UTC)),
        ("20240104", datetime(2024, 1, 4, tzinfo=UTC)),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_with_its_zone(text: str, moment: datetime) -> None:
    """An hour with an offset is the same instant everywhere."""
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "demain", "20241301", "20240230", "2024010499", "20240104160527+9999", "٢٠٢٤"])
def test_what_is_no_moment_is_none(text: str) -> None:
    """Garbage in a date field stops nobody; the bridge sees that there is no date."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "utc_hour"),
    [
        ("20240115120000", 11),
        ("20240715120000", 10),
        ("20240331030000", 1),
        ("20241027013000", 23),
        ("20241027033000", 2),
    ],
)
def test_a_french_hour_without_zone_is_paris_time(text: str, utc_hour: int) -> None:
    """Summer time counts, on the days of change too."""
    moment = parse_time(text, zoneless_is_paris=True)
    assert moment is not None
    assert moment.hour == utc_hour


@given(MOMENTS)
def test_moments_survive_writing_and_reading(moment: datetime) -> None:
    """What we send is what we meant, in XDS form and in CDA form."""
    assert parse_time(format_time(moment)) == moment
    assert parse_time(format_local_time(moment)) == moment


def test_local_time_carries_the_offset_of_the_season() -> None:
    """A French reader sees her own clock."""
    assert format_local_time(datetime(2026, 7, 1, 10, tzinfo=UTC)) == "20260701120000+0200"
    assert format_local_time(datetime(2024, 3, 31, 1, tzinfo=UTC)) == "20240331030000+0200"
    assert format_local_time(datetime(2024, 10, 27, 1, tzinfo=UTC)) == "20241027020000+0100"
    assert format_local_time(datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=5)))) == "20260101060000+0100"


@pytest.mark.parametrize(
    ("text", "day"),
    [("19790328", date(1979, 3, 28)), ("197903281200+0100", date(1979, 3, 28)), ("1979", None), ("19790230", None)],
)
def test_a_birth_date_needs_its_day(text: str, day: date | None) -> None:
    """Half a birth date identifies nobody."""
    assert parse_date(text) == day


def test_an_ins_is_read_as_ans_writes_it() -> None:
    """The form of METADATA.XML, and the doubly escaped one of the ANS kit."""
    expected = ("279035121518989", "1.2.250.1.213.1.4.10")
    assert parse_cx("279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH") == expected
    assert parse_cx("279035121518989^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH") == expected
    assert parse_cx("279035121518989") == ("279035121518989", "")
    assert parse_cx("") == ("", "")


def test_an_author_is_read_as_ans_writes_him() -> None:
    """Identifier and whole name; an ampersand in a name is no separator."""
    person = "801234567897^LEGRIS^Pierre^^^^DR^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    assert parse_xcn(person) == ("801234567897", "Pierre LEGRIS")
    assert parse_xon("Dupont & Fils^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1750803447") == ("1750803447", "Dupont & Fils")
    assert parse_xon("Dupont") == ("", "Dupont")


def test_a_family_name_of_several_words_stays_together() -> None:
    """Capitals tell the family name, as French software writes it."""
    assert format_xcn("899", "Anne Lise LE GOFF").startswith("899^LE GOFF^Anne Lise^")
    assert format_xcn("899", "Marcel Camparini").startswith("899^Camparini^Marcel^")


@given(DIGITS, WORDS)
def test_people_and_organisations_survive_writing_and_reading(identifier: str, name: str) -> None:
    """Any name, with carets and ampersands too, comes back as it was."""
    assert parse_xcn(format_xcn(identifier, name)) == (identifier, name)
    assert parse_xon(format_xon(identifier, name)) == (identifier, name)
    assert parse_cx(format_cx(identifier, "1.2.3")) == (identifier, "1.2.3")


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Readers of values never raise."""
    parse_time(text), parse_date(text), parse_cx(text), parse_xcn(text), parse_xon(text)
