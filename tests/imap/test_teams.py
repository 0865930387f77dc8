"""A team's mailbox: several people in one folder, each with what they have read, all with who does what."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap.commands import Flags
from mss.imap.takings import ANSWERED_BY, TAKEN, TAKEN_BY, Signs, TeamChange, mark_of, needed
from mss.model.ids import MailAddress
from mss.model.mailbox import Flag
from mss.store.states import FlagChange
from tests.imap.picture import PictureClient, agree
from tests.imap.resyncing import ResyncClient
from tests.imap.test_pictures import _act
from tests.kit.imap_house import COLLEAGUE, DOCTOR, TEAM, ImapHouse, numbered

INBOX = f'"Bo&AO4-tes partag&AOk-es/{TEAM}/INBOX"'
ROUNDS = {"small": 25, "full": 1500}
ENOUGH_S = 20.0


async def member(house: ImapHouse, user: str, *messages: bytes) -> PictureClient:
    client = await PictureClient.connect(house, user)
    for message in messages:
        await client.append(INBOX, message)
    await client.select(INBOX)
    return client


async def test_members_at_once_each_have_their_truth(house: ImapHouse, campaign_size: str) -> None:
    """Two members with two clients each, one of which goes away and resumes: what is everybody's is the same for all,
    what each has read is the same on both their clients, and no answer on the way was impossible."""
    await house.put(*numbered(8), user=TEAM)
    clients: list[PictureClient] = []
    for user in (DOCTOR, COLLEAGUE):
        clients += [await ResyncClient.arrive(house, user, INBOX), await member(house, user)]

    async def live(number: int) -> None:
        chance = random.Random(number)
        for _ in range(ROUNDS[campaign_size]):
            client = clients[number]
            if isinstance(client, ResyncClient) and chance.random() < 0.2:
                clients[number] = await client.come_back(house, DOCTOR if number == 0 else COLLEAGUE)
            elif isinstance(client, ResyncClient) and chance.random() < 0.3:
                await client.command("UID FETCH 1:* (FLAGS)")
            else:
                await _act(client, chance, INBOX)

    await asyncio.gather(*(live(number) for number in range(4)))
    hers, his = await agree(clients[:2]), await agree(clients[2:])
    assert [(uid, (flags or frozenset()) - {b"\\seen"}) for uid, flags in hers] == [
        (uid, (flags or frozenset()) - {b"\\seen"}) for uid, flags in his
    ]
    for client in clients:
        counted = len([1 for seen in client.messages if b"\\seen" not in (seen.flags or ())])
        await client.command("SEARCH UNSEEN")
        assert len(client.found) == counted
        client.writer.write(f"st STATUS {INBOX} (UNSEEN)\r\n".encode())
        assert f"(UNSEEN {counted})".encode() in await client.reader.readuntil(b"\r\nst OK")
        await client.close()


@pytest.mark.parametrize("keeper", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_who_is_removed_hears_goodbye_while_idle(house: ImapHouse) -> None:
    """Not at the next poll, and not when they next ask: at once, whatever they were doing."""
    she, he = await member(house, DOCTOR), await member(house, COLLEAGUE)
    he.writer.write(b"i IDLE\r\n")
    assert (await he.reader.readline()).startswith(b"+ idling")
    await she.command(f"DELETEACL {INBOX} {COLLEAGUE}")
    assert (
        await asyncio.wait_for(he.reader.readline(), ENOUGH_S)
        == b"* BYE You may no longer open the selected folder\r\n"
    )
    again = await PictureClient.connect(house, COLLEAGUE)
    await again.command(f"SELECT {INBOX}", may_fail=True)
    again.writer.write(b'l LIST "" "*"\r\n')
    assert TEAM.encode() not in await again.reader.readuntil(b"l OK")


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_a_newcomer_starts_where_the_team_stands(house: ImapHouse) -> None:
    """What somebody has read is no news to who joins; what nobody has read is."""
    she = await member(house, DOCTOR, *numbered(3))
    await she.command(f"DELETEACL {INBOX} {COLLEAGUE}")
    await she.command("STORE 1:2 +FLAGS (\\Seen)")
    await she.command(f"SETACL {INBOX} {COLLEAGUE} lrs")
    he = await member(house, COLLEAGUE)
    await he.command("SEARCH UNSEEN")
    assert he.found == [3]
    await he.command("STORE 2 -FLAGS (\\Seen)")
    await he.command("SEARCH UNSEEN")
    assert he.found == [2, 3]
    await she.command("SEARCH UNSEEN")
    assert she.found == [3]


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_what_is_copied_home_is_as_its_reader_knows_it(house: ImapHouse) -> None:
    """A copy in one's own mailbox is read when its reader has read the original, not when somebody else has."""
    she, he = await member(house, DOCTOR, *numbered(2)), await member(house, COLLEAGUE)
    await she.command("STORE 1 +FLAGS (\\Seen)")
    await he.command("STORE 2 +FLAGS (\\Seen)")
    await he.command("COPY 1:2 INBOX")
    await he.select()
    await he.command("SEARCH SEEN")
    assert he.found == [2]


async def test_who_is_suspended_loses_the_open_session(house: ImapHouse) -> None:
    """An account that may not sign in any more reads nothing more on a line that it had opened before."""
    client = await PictureClient.connect(house, COLLEAGUE)
    await client.select()
    await house.keeper.suspend(COLLEAGUE)
    client.writer.write(b"x FETCH 1:* BODY[]\r\n")
    assert await client.reader.readline() == b"* BYE This account is closed for now\r\n"


def test_the_name_is_an_atom_and_tells_domains_apart() -> None:
    """Two members of the same name at two domains are two; whatever an address holds, the keyword is an atom."""
    team = MailAddress.parse("cardio@chu.example")
    assert mark_of(MailAddress.parse("Marie.Dubois@chu.example"), team) == "Marie.Dubois"
    assert mark_of(MailAddress.parse("marie.dubois@ville.example"), team) == "marie.dubois@ville.example"
    assert mark_of(MailAddress.parse("a*b{c@chu.example"), team) == "a_b_c"


NAMES = [TAKEN, TAKEN_BY + "me", TAKEN_BY + "you", ANSWERED_BY + "me", ANSWERED_BY + "you", "$Label1"]
BITS = {name.casefold(): bit for bit, name in enumerate(NAMES)}
SIGNS = {"me": Signs.of("me", BITS), "you": Signs.of("you", BITS)}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["me", "you"]),
        st.sampled_from(["add", "remove", "replace"]),
        st.integers(0, 31),
        st.lists(st.sampled_from(NAMES), max_size=3),
    ),
    max_size=12,
)


@given(STEPS)
def test_whatever_members_store_nobody_signs_for_another(steps: list[tuple[str, str, int, list[str]]]) -> None:
    """At most one has a message, taken and starred mean the same, and a name appears by its own hand only."""
    flags = kw = 0
    for who, how, system, names in steps:
        bits = sum(1 << BITS[name.casefold()] for name in set(names))
        change = {
            "add": FlagChange(add=system, add_kw=bits),
            "remove": FlagChange(remove=system, remove_kw=bits),
            "replace": FlagChange(add=system, add_kw=bits, replace=True),
        }[how]
        before = kw
        flags, kw = TeamChange(change, SIGNS[who]).apply(flags, kw)
        told = {name for bit, name in enumerate(NAMES) if kw >> bit & 1}
        new = {name for bit, name in enumerate(NAMES) if kw & ~before & 1 << bit}
        holders = {name for name in told if name.startswith(TAKEN_BY)}
        assert len(holders) == (TAKEN in told) == bool(flags & Flag.FLAGGED)
        assert not {name for name in new if name.startswith((TAKEN_BY, ANSWERED_BY)) and not name.endswith(who)}
        assert flags & Flag.ANSWERED or not {name for name in told if name.startswith(ANSWERED_BY)}


def test_the_second_star_changes_nothing() -> None:
    """Two take at once: the first has it until it is given back; both are told so."""
    star = TeamChange(FlagChange(add=Flag.FLAGGED), SIGNS["me"])
    taken = star.apply(Flag.SEEN, 0)
    assert TeamChange(FlagChange(add=Flag.FLAGGED), SIGNS["you"]).apply(*taken) == taken
    given_back = TeamChange(FlagChange(remove=Flag.FLAGGED), SIGNS["you"]).apply(*taken)
    assert given_back == (Flag.SEEN, 0)
    assert needed("me", Flags(Flag.FLAGGED)) == [TAKEN, TAKEN_BY + "me"]


def test_two_may_answer_and_both_are_named() -> None:
    """Who answers a message that was answered before is named beside the first."""
    once = TeamChange(FlagChange(add=Flag.ANSWERED), SIGNS["me"]).apply(0, 0)
    twice = TeamChange(FlagChange(add=Flag.ANSWERED), SIGNS["you"]).apply(*once)
    assert twice == (Flag.ANSWERED, SIGNS["me"].answered_mine | SIGNS["you"].answered_mine)
