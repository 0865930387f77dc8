"""Whatever several clients do to one folder at once, each is told the truth, in an order it can follow."""

from __future__ import annotations

import asyncio
import random

import pytest

from mss.model.clock import ManualClock
from mss.model.mailbox import Flag
from tests.imap.picture import PictureClient, agree
from tests.imap.resyncing import ResyncClient
from tests.kit.imap_house import DOCTOR, ImapHouse, letter, numbered

ROUNDS = {"small": 40, "full": 1500}
CLIENTS = 5
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Label1", "$Label2")


async def _act(client: PictureClient, chance: random.Random, folder: str = "INBOX") -> None:
    """One thing that a mail client does in the folder it has open."""
    exists = len(client.messages)
    number = chance.randint(1, max(1, exists))
    number_too = chance.randint(1, max(1, exists))
    match chance.randrange(11):
        case 0:
            await client.append(folder, letter(chance.randrange(1000)))
        case 1 if exists:
            await client.command(f"STORE {number}:{number_too} +FLAGS ({chance.choice(FLAGS)})")
        case 2 if exists:
            await client.command(f"STORE {number} -FLAGS.SILENT ({chance.choice(FLAGS)})")
        case 3 if exists:
            await client.command(f"STORE {number} FLAGS ({chance.choice(FLAGS)})")
        case 4:
            await client.command("EXPUNGE")
        case 5 if exists:
            await client.command(f"FETCH {number}:* (UID FLAGS)")
        case 6 if exists:
            await client.command(f"FETCH {number} (UID BODY[TEXT])")
        case 7 if exists:
            await client.command(f"COPY {number} {folder}")
        case 8 if exists > 8:
            await client.command(f"MOVE {number} Archives")
        case 9:
            await client.command("UID SEARCH DELETED")
            if client.found and chance.random() < 0.3:
                await client.command(f"UID EXPUNGE {client.found[0]}")
        case _:
            await client.command("NOOP")


async def test_clients_at_once_all_have_the_truth_in_the_end(house: ImapHouse, campaign_size: str) -> None:
    """Five clients, everything at once: no impossible answer on the way, one picture at the end."""
    await house.put(*numbered(10))
    clients = [await PictureClient.connect(house, DOCTOR) for _ in range(CLIENTS)]
    try:
        for client in clients:
            await client.select()
            await client.command("FETCH 1:* (UID FLAGS)")

        async def live(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(ROUNDS[campaign_size]):
                await _act(clients[seed], chance)

        await asyncio.gather(*(live(seed) for seed in range(CLIENTS)))
        assert await agree(clients)
    finally:
        for client in clients:
            await client.close()


async def test_clients_that_come_back_have_the_truth(house: ImapHouse, campaign_size: str) -> None:
    """Three of five go away at any moment and resume with what they knew; their pictures never leave the truth."""
    await house.put(*numbered(10))
    clients: list[PictureClient] = [await ResyncClient.arrive(house, DOCTOR) for _ in range(3)]
    for _ in range(2):
        clients.append(await PictureClient.connect(house, DOCTOR))
        await clients[-1].select()
    resumed = 0

    async def live(seed: int) -> None:
        nonlocal resumed
        chance = random.Random(seed)
        for _ in range(ROUNDS[campaign_size]):
            client = clients[seed]
            if isinstance(client, ResyncClient) and chance.random() < 0.15:
                clients[seed] = await client.come_back(house, DOCTOR)
                resumed += 1
            elif isinstance(client, ResyncClient) and chance.random() < 0.3:
                await client.command("UID FETCH 1:* (FLAGS)")
            else:
                await _act(client, chance)

    try:
        await asyncio.gather(*(live(seed) for seed in range(CLIENTS)))
        assert resumed > 5
        assert await agree(clients)
        for number in range(3):
            client = clients[number]
            assert isinstance(client, ResyncClient)
            await clients[3].command("STORE 1 +FLAGS ($Label1)")
            clients[number] = await client.come_back(house, DOCTOR)
        await agree(clients)
    finally:
        for client in clients:
            await client.close()


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_who_stays_away_too_long_is_told_all_that_is_gone(house: ImapHouse, clock: ManualClock) -> None:
    """What vanished is forgotten after half a year; a client that comes back later compares, and knows the same."""
    await house.put(*numbered(6))
    one, other = await ResyncClient.arrive(house, DOCTOR), await PictureClient.connect(house, DOCTOR)
    await other.select()
    for number in (5, 2):
        await other.command(f"STORE {number} +FLAGS (\\Deleted)")
        await other.command("EXPUNGE")
        clock.forward(200 * 24 * 3600)
    folder = await house.store.folder(house.keeper.boxes[DOCTOR], "INBOX")
    assert await house.store.changes(folder, one.modseq) is None
    one = await one.come_back(house, DOCTOR)
    assert [seen.uid for seen in one.messages] == [1, 3, 4, 6]
    await agree([one, other])
    await one.close()
    await other.close()


async def test_mail_that_is_expunged_by_two_is_gone_once(house: ImapHouse) -> None:
    """Two clients expunge the same messages at the same moment; each counts down correctly."""
    await house.put(*numbered(40), flags=Flag.DELETED)
    clients = [await PictureClient.connect(house, DOCTOR) for _ in range(4)]
    for client in clients:
        await client.select()
    await asyncio.gather(*(client.command("EXPUNGE") for client in clients))
    assert await agree(clients) == []
    for client in clients:
        await client.close()


@pytest.mark.parametrize("keeper", ["memory"], indirect=True)
async def test_a_client_in_condstore_is_told_mod_sequences(house: ImapHouse) -> None:
    """After ENABLE CONDSTORE, what others change comes with MODSEQ, so that a client can resume later."""
    await house.put(*numbered(2))
    one, other = [await PictureClient.connect(house, DOCTOR) for _ in range(2)]
    await one.command("ENABLE CONDSTORE")
    await one.select()
    await other.select()
    await other.command("STORE 1 +FLAGS (\\Flagged)")
    one.writer.write(b"x NOOP\r\n")
    line = await one.reader.readline()
    assert line.startswith(b"* 1 FETCH (UID 1 FLAGS (\\Flagged")
    assert b"MODSEQ (" in line
    await one.close()
    await other.close()
