"""Is what a sender asks of delivery reports read strictly, and handed on as it was said?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.message import Notify, RecipientWish, Returned
from mss.smtp import wishes
from tests.kit.smtp_wire import DOCTOR, MESSAGE, PASSWORD, SmtpHouse
from tests.smtp.dialogue import plain

OTHER = "jean.petit@chu.mssante.example"
XTEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30).map(
    lambda text: "".join(f"+{ord(sign):02X}" if sign in " +=" else sign for sign in text)
)


@pytest.mark.parametrize(
    ("text", "notify"),
    [
        ("NEVER", {Notify.NEVER}),
        ("success", {Notify.SUCCESS}),
        ("SUCCESS,FAILURE", {Notify.SUCCESS, Notify.FAILURE}),
        ("DELAY,FAILURE,SUCCESS", {Notify.DELAY, Notify.FAILURE, Notify.SUCCESS}),
    ],
)
def test_occasions_are_read(text: str, notify: set[Notify]) -> None:
    """In any order and either case."""
    assert wishes.read_notify(text) == notify


@pytest.mark.parametrize(
    "text", ["", ",", "NEVER,", "NEVER,SUCCESS", "SUCCESS,SUCCESS", "ALWAYS", "SUCCESS, DELAY", "N\u212aVER"]
)
def test_contradictions_are_refused(text: str) -> None:
    """Never and sometimes cannot both be meant."""
    with pytest.raises(BadValue):
        wishes.read_notify(text)


@given(XTEXT)
def test_identifiers_pass_unchanged(text: str) -> None:
    """What comes back in a report is what the sender gave, whatever printable text it stands for."""
    if len(text) <= wishes.ENVELOPE_ID_OCTETS_MAX:
        assert wishes.read_envelope_id(text) == text
    assert wishes.read_original(f"rfc822;{text}") == f"rfc822;{text}"


@pytest.mark.parametrize(
    "text", ["", "a b", "a=b", "a+2", "a+2b", "a+GG", "a+", "caf\xe9", "a+0D+0AX-Injected:", "a+00", "a+7F", "a\n"]
)
def test_what_is_no_printable_xtext_is_refused(text: str) -> None:
    """A line end in an identifier would be a header of somebody's choice in our report."""
    with pytest.raises(BadValue):
        wishes.read_envelope_id(text)
    with pytest.raises(BadValue):
        wishes.read_original(f"rfc822;{text}")


@pytest.mark.parametrize("text", ["", "bob@chu.example", ";bob@chu.example", "rfc822;", "rfc 822;bob", "rfc822:bob"])
def test_an_original_recipient_has_a_kind(text: str) -> None:
    """RFC 3461 §4.2: type, semicolon, address."""
    with pytest.raises(BadValue):
        wishes.read_original(text)


def test_nothing_longer_than_the_standard_allows() -> None:
    """RFC 3461 §5.4: the next server need not take more."""
    assert wishes.read_envelope_id("x" * 94)
    assert wishes.read_original("rfc822;" + "x" * 487)
    with pytest.raises(BadValue):
        wishes.read_envelope_id("x" * 95)
    with pytest.raises(BadValue):
        wishes.read_original("rfc822;" + "x" * 488)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((), (), ()),
        (("NEVER",), ("NEVER",), ("NEVER",)),
        (("NEVER",), (), ("FAILURE", "DELAY")),
        (("NEVER",), ("SUCCESS",), ("SUCCESS",)),
        ((), ("SUCCESS",), ("SUCCESS", "FAILURE", "DELAY")),
        (("DELAY",), ("FAILURE",), ("DELAY", "FAILURE")),
    ],
)
def test_named_twice_is_told_all(first: tuple[str, ...], second: tuple[str, ...], both: tuple[str, ...]) -> None:
    """Nobody loses a report because the same recipient was named again."""
    one, other = (RecipientWish(frozenset(map(Notify, words))) for words in (first, second))
    assert wishes.of_both(one, other).notify == wishes.of_both(other, one).notify == frozenset(map(Notify, both))


async def test_wishes_reach_the_house(house: SmtpHouse) -> None:
    """From MAIL and RCPT to whoever will write the report, at both doors, and never into the next message."""
    peer = await house.peer()
    user = await house.visitor("submissions")
    await user.ask("EHLO poste.chu.mssante.example")
    assert (await user.ask(f"AUTH PLAIN {plain(DOCTOR, PASSWORD)}")).code == 235
    for client, sender in ((peer, "bio@labo.mssante.example"), (user, DOCTOR)):
        for command in (
            f"MAIL FROM:<{sender}> RET=HDRS ENVID=QQ314+2B159",
            f"RCPT TO:<{DOCTOR}> NOTIFY=SUCCESS ORCPT=rfc822;md+2Bx@ville.mssante.example",
            f"RCPT TO:<{OTHER}> NOTIFY=NEVER",
            f"RCPT TO:<{DOCTOR.upper()}> NOTIFY=DELAY",
        ):
            assert (await client.ask(command)).code == 250
        assert (await client.ask("DATA")).code == 354
        await client.say(MESSAGE + b".\r\n")
        assert (await client.hear()).code == 250
        envelope = house.reception.kept[-1].envelope
        wish = envelope.wish
        assert [str(recipient) for recipient in envelope.recipients] == [DOCTOR, OTHER]
        assert (wish.returned, wish.envelope_id) == (Returned.HEADERS, "QQ314+2B159")
        assert wish.of(MailAddress.parse(DOCTOR)) == RecipientWish(
            frozenset({Notify.SUCCESS, Notify.DELAY}), "rfc822;md+2Bx@ville.mssante.example"
        )
        assert wish.of(MailAddress.parse(OTHER)).notify == {Notify.NEVER}
        assert (await client.send(sender=sender)).code == 250
        plainly = house.reception.kept[-1].envelope.wish
        assert (plainly.returned, plainly.envelope_id) == (None, "")
        assert plainly.of(MailAddress.parse(DOCTOR)) == RecipientWish()
        await client.close()
