"""Old mail goes as the operator has set, told a month and a week ahead, and nothing else ever goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mss.accounts.knocks import Knocks
from mss.accounts.software import SoftwareLogin, verifier_of
from mss.accounts.teams import Teams
from mss.cli.checkretention import told
from mss.formats.headers import decode_words
from mss.formats.mime import decode_text, scan
from mss.imap.mailacts import CellarMailStore
from mss.imap.people import MailLogin, TeamDesk
from mss.mail.purging import Purging
from mss.mail.retention import Rules
from mss.model.clock import SystemClock, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import AccountState, MailboxKind, SpecialUse
from mss.notices.compose import House as Writer
from mss.notices.retention import RetentionWatch
from mss.store import folders, messages, owners, schema, states, unanswered
from mss.store.accounts import CredentialKind
from mss.store.sql import Connection
from mss.store.unanswered import Waiting
from tests.imap.picture import PictureClient
from tests.kit.documents import make_cda
from tests.kit.house import HOSPITAL, LABORATORY, PATIENTS, House
from tests.kit.imap_house import PASSWORD, Keeper, imap_house
from tests.kit.pki import session_pki

ADDRESS = f"dr.ancien@{HOSPITAL}"
DAY_S = 24 * 3600.0
SIXTY = timedelta(days=60)


class Scene:
    """A doctor's mailbox and the watch over it, by rules that may be changed."""

    def __init__(self, house: House, owner: OwnerId, rules: Rules) -> None:
        self.house, self.owner = house, owner
        self.heard: list[tuple[int, int]] = []
        house.bus.subscribe(owner, lambda whose, folder: self.heard.append((whose, folder)))
        self.rule_by(rules)

    def rule_by(self, rules: Rules) -> None:
        house, lookup = self.house, self.house.cellar.public.lookup
        self.purging = Purging(house.store, lookup, house.bus, house.clock, rules)
        writer = Writer(house.mail_house.host, MailAddress.parse(f"ne-pas-repondre@{PATIENTS}"))
        below = house.cellar
        self.watch = RetentionWatch(
            writer, self.purging, house.store, below.opener, lookup, house.house_mail, house.clock
        )

    async def letters(self, count: int, box: str = ADDRESS) -> list[int]:
        found = []
        for _ in range(count):
            raw = self.house.health_mail(MailAddress.parse(box))
            found += await self.house.deliver(raw, LABORATORY, MailAddress.parse(box))
        return found

    async def move(self, use: SpecialUse) -> None:
        """All of the inbox to another folder, as a mail client's MOVE does."""
        now_ms = to_ms(self.house.clock.now())

        def act(connection: Connection) -> None:
            owners.lock(connection, self.owner)
            inbox = folders.folder_by_use(connection, self.owner, SpecialUse.INBOX)
            target = folders.folder_by_use(connection, self.owner, use)
            assert inbox is not None
            assert target is not None
            uids = [state[0] for state in states.snapshot(connection, self.owner, inbox.folder)]
            moved = folders.entries_of(connection, self.owner, inbox.folder, uids)
            folders.append_entries(connection, self.owner, target.folder, [one for _, one in moved], now_ms)
            folders.expunge(connection, self.owner, inbox.folder, uids, now_ms, only_deleted=False)

        await self.house.store.write(lane_of(self.owner), act)

    async def days(self, count: int) -> None:
        """So many pass, with a look each."""
        for _ in range(count):
            self.house.clock.forward(DAY_S)
            await self.watch.look()

    async def counts(self) -> Mapping[str, int]:
        found = await self.house.store.read(lambda c: folders.list_folders(c, self.owner))
        return {one.special_use: one.n_msg for one in found if one.n_msg}

    async def acts(self, word: str) -> list[str]:
        table = schema.audit
        query = select(table.c.result).where(table.c.owner == self.owner, table.c.act == word).order_by(table.c.seq)
        return list(await self.house.store.read(lambda c: list(c.execute(query).scalars())))

    async def set_state(self, state: AccountState) -> None:
        await self.house.store.write(lane_of(self.owner), lambda c: owners.set_state(c, self.owner, state))

    async def texts(self) -> list[tuple[str, str]]:
        """Subject and text of the letters that lie in the inbox, oldest first."""
        keys = await self.house.cellar.keys(self.owner)
        opener, store, found = self.house.cellar.opener, self.house.store, []
        inbox = await store.read(lambda c: folders.folder_by_use(c, self.owner, SpecialUse.INBOX))
        assert inbox is not None
        for number in await store.read(lambda c: folders.messages_of(c, self.owner, inbox.folder)):
            stored = await store.read(lambda c, n=number: messages.one_message(c, self.owner, n))  # type: ignore[misc]
            assert stored is not None
            raw = await opener.message_body(keys, stored)
            structure = scan(raw)
            (leaf,) = [part for part in structure.leaves() if part.content_type == "text/plain"]
            found.append((decode_words(structure.header("Subject") or ""), decode_text(raw, leaf)))
        return found


@asynccontextmanager
async def mail_clients(house: House, owner: OwnerId, directory: Path) -> AsyncIterator[Callable[..., Any]]:
    """Connects mail clients to the doctor's mailbox, by TLS."""
    below, clock = house.cellar, SystemClock()  # the days that pass are not the lines' own
    lookup, opener, chance = below.public.lookup, below.opener, below.chance
    await below.accounts.add_credential(owner, CredentialKind.APPLICATION_PASSWORD, verifier_of(lookup, PASSWORD))
    login = SoftwareLogin(house.store, lookup, clock, chance)
    people = MailLogin(login, house.store, opener, clock, chance, Knocks(clock))
    mail = CellarMailStore(house.store, opener, below.bodies, house.bus, lookup, clock, chance)
    nobody = TeamDesk(Teams(house.store, house.bus, clock), house.store, opener, lookup)
    keeper = Keeper(mail, people.authenticate, {}, people.review, nobody, suspend=_never)
    async with imap_house(keeper, session_pki(), directory, clock) as doors:
        yield lambda: PictureClient.connect(doors, ADDRESS)


async def _never(_address: str) -> None:
    raise AssertionError


async def scene_of(house: House, rules: Rules) -> Scene:
    return Scene(house, await house.professional(ADDRESS), rules)


async def test_the_trash_is_emptied_after_two_warnings_and_open_sessions_are_told(house: House) -> None:
    """Three letters put away: told when a month is left, again when a week is left, gone on the day, each with its row
    of audit; what lies elsewhere, and what came into the trash later, stays; numbers are not used again."""
    scene = await scene_of(house, Rules(trash=SIXTY))
    await scene.letters(3)
    await scene.move(SpecialUse.TRASH)
    await scene.days(28)
    assert await scene.counts() == {"Trash": 3}
    await scene.letters(1)
    await scene.move(SpecialUse.TRASH)  # later than what the warning is about
    await scene.days(2)
    ((subject, text),) = await scene.texts()
    day = f"{house.clock.now() + timedelta(days=30):%d/%m/%Y}"
    assert "3 message(s) seront" in subject
    assert f"à partir du {day}" in text
    assert "3 dans la corbeille" in text
    await scene.days(21)
    assert (len(await scene.texts()), await scene.counts()) == (1, {"Inbox": 1, "Trash": 4})
    await scene.days(1)
    assert len(await scene.texts()) == 2
    assert "Dernier avis" in (await scene.texts())[1][1]
    await scene.days(7)
    assert await scene.counts() == {"Inbox": 2, "Trash": 4}
    scene.heard.clear()
    await scene.days(1)
    assert await scene.counts() == {"Inbox": 2, "Trash": 1}
    trash = await house.store.read(lambda c: folders.folder_by_use(c, scene.owner, SpecialUse.TRASH))
    assert trash is not None
    assert (scene.owner, trash.folder) in scene.heard
    assert trash.uidnext == 5
    gone = await house.store.read(lambda c: states.changes_since(c, scene.owner, trash.folder, trash.highestmodseq - 1))
    assert gone is not None
    assert gone[1] == [(1, 3)]
    assert await scene.acts("retention.deleted") == ["trash 1", "trash 2", "trash 3"]
    assert len(await scene.acts("retention.told")) == len(await scene.acts("retention.reminded")) == 1


async def _hear(client: PictureClient, line: bytes) -> None:
    while await client._line() != line:
        pass


async def test_a_mail_client_that_waits_hears_of_warning_and_deletion(house: House, tmp_path: Path) -> None:
    """In IDLE in the inbox: the warning arrives. In IDLE in the trash: what the warning was about goes, by number for
    one and by uid for the other, who knows QRESYNC; and its body is not to be had any more."""
    scene = await scene_of(house, Rules(trash=SIXTY))
    async with mail_clients(house, scene.owner, tmp_path) as connect:
        await scene.letters(3)
        await scene.move(SpecialUse.TRASH)
        inbox, trash, resyncing = [await connect() for _ in range(3)]
        await inbox.select()
        await trash.select("Corbeille")
        await resyncing.command("ENABLE QRESYNC")
        await resyncing.select("Corbeille")
        for client in (inbox, trash, resyncing):
            client.writer.write(b"i IDLE\r\n")
            assert (await client.reader.readline()).startswith(b"+ idling")
        await scene.days(30)
        await _hear(inbox, b"* 1 EXISTS\r\n")
        await scene.days(22)
        await _hear(inbox, b"* 2 EXISTS\r\n")
        await scene.letters(1)
        await scene.days(8)
        assert [await trash._line() for _ in range(3)] == [b"* %d EXPUNGE\r\n" % number for number in (3, 2, 1)]
        assert await resyncing._line() == b"* VANISHED 1:3\r\n"
        trash.writer.write(b"DONE\r\n")
        assert (await trash._line()).startswith(b"i OK")
        trash.messages = []
        await trash.command("UID FETCH 1:* BODY[]")
        assert trash.messages == []


async def test_the_doctor_counts_the_first_and_tells_how_many_more(house: House) -> None:
    """Of three mailboxes whose day comes, two are looked at: the earliest. Suspended ones, and those with another
    month, are not among them."""
    scenes = []
    for number in range(4):
        address = f"dr.numero{number}@{HOSPITAL}"
        scene = Scene(house, await house.professional(address), Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
        await scene.letters(1, address)
        house.clock.forward(DAY_S)
        scenes.append(scene)
    for _ in range(30):
        house.clock.forward(DAY_S)
        await scene.watch.look()
    until = house.clock.now() + timedelta(days=60)
    ending, first = await scene.purging.ending(until, 2)
    assert (ending, first) == (4, [scenes[0].owner, scenes[1].owner])
    await scenes[0].set_state(AccountState.SUSPENDED)
    ending, first = await scene.purging.ending(until, 2)
    assert (ending, first) == (3, [scenes[1].owner, scenes[2].owner])
    assert await scene.purging.ending(house.clock.now(), 2) == (0, [])
    looks = [await scene.purging.look(owner) for owner in first]
    assert "2 messages of 2 mailboxes are deleted within 30 days" in told(looks, 1)
    assert "and more of 1 others" in told(looks, 1)
    assert "others" not in told(looks, 0)


async def test_nothing_ever_goes_where_the_operator_has_set_nothing(house: House) -> None:
    """Two years, no letter, no deletion."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.ORGANISATIONAL: SIXTY}))
    await scene.letters(1)
    house.clock.forward(730 * DAY_S)
    await scene.days(3)
    assert await scene.counts() == {"Inbox": 1}


async def test_a_warning_that_cannot_be_put_into_the_mailbox_stops_the_deletion(house: House) -> None:
    """Suspended for the time of the warnings: nothing goes, and when she is back she has a month again. Suspended
    after the last warning: a week again."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.letters(1)
    await scene.set_state(AccountState.SUSPENDED)
    await scene.days(90)
    await scene.set_state(AccountState.ACTIVE)
    await scene.days(1)
    assert await scene.counts() == {"Inbox": 2}
    await scene.days(24)
    assert len(await scene.texts()) == 3
    await scene.set_state(AccountState.SUSPENDED)
    await scene.days(60)
    await scene.set_state(AccountState.ACTIVE)
    await scene.days(1)
    assert len(await scene.texts()) == 4, "the first day has passed unseen: told again"
    await scene.days(7)
    assert (await scene.counts())["Inbox"] == 4
    await scene.days(1)
    assert await scene.acts("retention.deleted") == ["mailbox 1"]


async def test_works_that_slept_over_the_day_remind_again_before_they_delete(house: House) -> None:
    """A month without a look after the first warning: never deleted with one warning."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.letters(1)
    await scene.days(30)
    assert len(await scene.texts()) == 2
    house.clock.forward(60 * DAY_S)
    await scene.watch.look()
    assert len(await scene.texts()) == 3
    await scene.days(7)
    assert not await scene.acts("retention.deleted")
    await scene.days(1)
    assert await scene.acts("retention.deleted") == ["mailbox 1"]


async def test_a_hold_stops_it_and_its_end_begins_with_the_warnings(house: House) -> None:
    """Held a day before everything was to go."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.letters(2)
    await scene.days(59)
    await scene.purging.hold(scene.owner, "staff:test", is_held=True)
    await scene.days(60)
    assert not await scene.acts("retention.deleted")
    assert (await scene.counts())["Inbox"] == 4
    await scene.purging.hold(scene.owner, "staff:test", is_held=False)
    await scene.days(30)
    assert not await scene.acts("retention.deleted")
    assert len(await scene.acts("retention.hold")) == len(await scene.acts("retention.release")) == 1


async def test_a_rule_taken_back_or_made_shorter_deletes_nothing_untold(house: House) -> None:
    """Taken back: the round ends. Made shorter: only what the letter was about goes, two letters and the house's own
    first warning of before."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.letters(2)
    await scene.days(56)
    scene.rule_by(Rules())
    await scene.days(10)
    assert not await scene.acts("retention.deleted")
    scene.rule_by(Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.days(1)
    await scene.letters(1)
    scene.rule_by(Rules(mailbox={MailboxKind.PERSONAL: timedelta(days=31)}))
    await scene.days(31)
    assert await scene.acts("retention.deleted") == ["mailbox 1", "mailbox 2", "mailbox 3"]


async def test_a_patients_message_without_an_answer_and_a_filed_document_stay(house: House) -> None:
    """The doctor's duty outlives the rule; the record is not the mailbox; the patient's inbox is never looked at."""
    rules = Rules(mailbox=dict.fromkeys(MailboxKind, SIXTY))
    scene = await scene_of(house, rules)
    waiting, _ = await scene.letters(2)

    def begin(connection: Connection) -> None:
        owners.lock(connection, scene.owner)
        now_ms = to_ms(house.clock.now())
        unanswered.begin(connection, scene.owner, waiting, Waiting(b"p" * 20, frozenset()), now_ms)

    await house.store.write(lane_of(scene.owner), begin)
    patient = await house.enrol()
    await house.send_documents(patient, make_cda())
    before = await house.documents(patient), await house.conversation_list(patient)
    await scene.days(62)
    left = await house.store.read(lambda c: folders.folder_by_use(c, scene.owner, SpecialUse.INBOX))
    assert left is not None
    there = await house.store.read(lambda c: folders.messages_of(c, scene.owner, left.folder))
    assert waiting in there
    assert await scene.acts("retention.deleted") == ["mailbox 2"]
    assert (await house.documents(patient), await house.conversation_list(patient)) == before
    assert len(before[0]) == 1


@pytest.mark.parametrize("at", ["after-keep", "after-send"])
async def test_a_crash_between_letter_and_note_sends_no_second_letter(house: House, at: str) -> None:
    """The round is written before its letter, and the letter bears the round's name."""
    scene = await scene_of(house, Rules(mailbox={MailboxKind.PERSONAL: SIXTY}))
    await scene.letters(1)
    house.clock.forward(30 * DAY_S)
    look = await scene.purging.look(scene.owner)
    assert look.round is not None
    await scene.purging.keep(scene.owner, look.round)
    if at == "after-send":
        await scene.watch._warn(look)
        await scene.purging.keep(scene.owner, look.round)  # as if the note had been lost
    house.clock.forward(3600)
    await scene.watch.look()
    await scene.watch.look()
    assert len(await scene.texts()) == 2
    assert len(await scene.acts("retention.told")) == (2 if at == "after-send" else 1)
