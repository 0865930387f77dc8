"""Application mailboxes at other operators, over IMAP: each document once, nothing lost, marked there what was done."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mss.bridge.farbox import FarBox, FarPlace
from mss.bridge.fetching import Fetcher, Marks, Rooms
from mss.bridge.source import SourceTrouble
from mss.crypto.tls import sink_client_context
from mss.model.clock import ManualClock, SeededChance, SystemClock
from mss.model.errors import NotFound, StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import fetched, merges
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.dovecot import PASSWORD, Dovecot, client_tls, dovecot
from tests.kit.house import APPLICATION, LABORATORY, POSTMASTER, House
from tests.kit.imap_house import SOFTWARE, imap_house, memory_keeper
from tests.kit.pki import Pki
from tests.kit.samples import CHECKOUT

FAR = MailAddress.parse("dpi@autre.mssante.example")
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def dovecot_there(pki: Pki) -> Iterator[Dovecot]:
    """Another operator's server, for all tests; each uses a mailbox of its own."""
    with dovecot(pki.hospital) as running:
        yield running


class There:
    """A mailbox over there, and the fetcher of ours."""

    def __init__(self, house: House, pki: Pki, server: Dovecot, user: str, folder: Path) -> None:
        self.house, self.pki, self.server, self.user = house, pki, server, user
        self.secret = folder / "password"
        self.secret.write_text(f"{PASSWORD}\n")
        self.place = FarPlace("localhost", server.tls_port, user, password_file=self.secret)
        self.marks = Marks()

    def tls(self) -> ssl.SSLContext:
        return sink_client_context(self.pki.authority.bundle_pem)

    def fetcher(self, pauses_s: tuple[float, ...] = (0.05,)) -> Fetcher:
        """As after a restart: nothing is remembered but what the store holds."""
        house = self.house
        rooms = Rooms(
            house.store,
            house.delivery,
            house.recipients,
            house.screening,
            house.cellar.public.lookup,
            "works.chu.mssante.example",
            house.clock,
            SeededChance(7),
        )
        return Fetcher("autre", self.place, self.tls, APPLICATION, self.marks, rooms, pauses_s)

    async def round(self) -> None:
        """Fetch, judge, mark, each until nothing is left to do."""
        box = await FarBox.open(self.place, self.tls)
        try:
            await self.fetcher().round(box)
            await self.house.run_tasks()
            await self.fetcher().round(box)
        finally:
            await box.close()

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4_SSL]:
        """As a person with a mail program."""
        tls = client_tls(self.pki.authority.bundle_pem)
        with imaplib.IMAP4_SSL("localhost", self.server.tls_port, ssl_context=tls) as client:
            client.authenticate("PLAIN", lambda _: f"\0{self.user}\0{PASSWORD}".encode())
            yield client

    async def receive(self, *mails: bytes) -> None:
        """Mail arrives over there, with the Return-Path of that operator."""

        def put() -> None:
            with self.client() as client:
                for mail in mails:
                    raw = f"Return-Path: <{LABORATORY}>\r\n".encode() + mail
                    assert client.append("INBOX", "", None, raw)[0] == "OK"

        await asyncio.to_thread(put)

    async def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """Of each message there, in order."""

        def look() -> list[set[str]]:
            with self.client() as client:
                if client.select(folder, readonly=True)[0] != "OK":
                    return []
                found: list[Any] = client.uid("FETCH", "1:*", "(FLAGS)")[1]
                return [
                    set(line.decode().partition("FLAGS (")[2].split(")")[0].split()) - {"\\Recent"}
                    for line in found
                    if line
                ]

        return await asyncio.to_thread(look)

    def mail(self, number: int, person: Any = ZOE) -> bytes:
        document = make_cda(person, unique_id=f"{OUR_OID}.1^{number}", set_id=f"{OUR_OID}.2^{number}")
        return self.house.health_mail(FAR, document)


@pytest.fixture
async def there(
    house: House, pki: Pki, dovecot_there: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> There:
    await house.professional(str(APPLICATION), MailboxKind.APPLICATION)
    user = f"{zlib.crc32(request.node.name.encode())}@autre.mssante.example"
    return There(house, pki, dovecot_there, user, tmp_path)


FILED, HELD = {"\\Seen", "$MSSFiled"}, {"\\Seen", "$MSSHeld"}


async def test_each_message_is_filed_once_and_marked_there(there: There) -> None:
    """Filed, held, talk without documents; nothing is done twice, whoever begins anew."""
    zoe = await there.house.enrol(ZOE)
    talk = there.house.health_mail(FAR, text="Bonjour,\n", receipt=False)
    await there.receive(there.mail(1), there.mail(2, HUGO), talk, there.mail(3))
    for _ in range(2):
        await there.round()
        assert len(await there.house.documents(zoe)) == 2
        assert await there.flags() == [FILED, HELD, {"\\Seen"}, FILED]
        assert [item.reason for item in await there.house.triage.held_list()] == ["patient-unknown"]
    answers = [mail for mail in await there.house.sent() if mail["X-Envelope-To"] == str(LABORATORY)]
    assert len(answers) == 3


async def test_what_a_human_decides_is_marked_too(there: There) -> None:
    """Held at first; then filed or refused at the desk."""
    zoe = await there.house.enrol(ZOE)
    doubtful = replace(ZOE, traits=replace(ZOE.traits, birth_name="AUTRE-NOM"))
    for number in (1, 2):
        await there.receive(there.mail(number, doubtful))
        await there.round()
        there.house.clock.forward(1)  # of one moment, neither would be the first of the list
    assert await there.flags() == [HELD, HELD]
    first, second = await there.house.triage.held_list()
    await there.house.triage.file(int(first.id), "staff:test")
    await there.house.triage.reject(int(second.id), "staff:test", "not hers")
    await there.round()
    assert await there.flags() == [FILED, {"\\Seen", "$MSSRefused"}]
    assert len(await there.house.documents(zoe)) == 1


async def test_folders_there_may_tell_what_was_done(there: There) -> None:
    """Moved instead of only marked; the folders are made when they are not there."""
    await there.house.enrol(ZOE)
    there.marks = Marks(filed_folder="Classés", held_folder="En attente")
    await there.receive(there.mail(1), there.mail(2, HUGO), there.mail(3))
    await there.round()
    assert await there.flags() == []
    assert await there.flags('"Class&AOk-s"') == [FILED, FILED]
    assert await there.flags('"En attente"') == [HELD]


async def test_a_folder_made_anew_brings_nothing_twice(there: There) -> None:
    """UIDVALIDITY changes: numbers mean others now, the octets are known."""
    zoe = await there.house.enrol(ZOE)
    await there.receive(there.mail(1), there.mail(2, HUGO))
    await there.round()
    (there.server.maildir(there.user) / "dovecot-uidlist").unlink()
    for index in there.server.maildir(there.user).glob("dovecot.index*"):
        index.unlink()
    await there.receive(there.mail(3))
    await there.round()
    assert len(await there.house.documents(zoe)) == 2
    assert len(await there.house.triage.held_list()) == 1
    assert len(await there.house.sent()) == 3
    assert await there.flags() == [FILED, HELD, FILED]


STEPS = ("asked", "heard", "before the commit", "after the commit", "before the mark", "after the mark", "unnoted")


@pytest.mark.parametrize("step", STEPS)
async def test_an_end_at_any_step_loses_and_doubles_nothing(
    there: There, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut or the process dies: the next one finds each document once and marks it."""
    zoe = await there.house.enrol(ZOE)
    await there.receive(there.mail(1), there.mail(2, HUGO))
    with monkeypatch.context() as broken:
        _end_at(broken, step)
        with pytest.raises((ConnectionResetError, StorageUnavailable)):
            await there.round()
    await there.round()
    assert len(await there.house.documents(zoe)) == 1
    assert len(await there.house.triage.held_list()) == 1
    assert len(await there.house.sent()) == 2
    assert await there.flags() == [FILED, HELD]


def _end_at(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let the second pass of that step be the last thing that happens."""
    owners = {
        "asked": (FarBox, "octets", True),
        "heard": (FarBox, "octets", False),
        "before the commit": (Fetcher, "_keep", True),
        "after the commit": (Fetcher, "_keep", False),
        "before the mark": (FarBox, "mark", True),
        "after the mark": (FarBox, "mark", False),
        "unnoted": (fetched, "mark", True),
    }
    place, name, is_before = owners[step]
    real, passes = getattr(place, name), iter(range(100))

    async def gone(*words: Any) -> Any:
        last = next(passes) == 1
        if last and is_before:
            raise ConnectionResetError
        done = await real(*words)
        if last:
            raise ConnectionResetError
        return done

    def gone_at_once(*words: Any) -> Any:
        if next(passes) == 1:
            raise ConnectionResetError
        return real(*words)

    patch.setattr(place, name, gone_at_once if place is fetched else gone)


async def test_it_waits_listens_and_comes_back(there: There) -> None:
    """IDLE brings what arrives at once; a server that was away is found again."""
    zoe = await there.house.enrol(ZOE)
    fetching = asyncio.create_task(there.fetcher().run(there.house.bus))
    try:
        for number in (1, 2):
            await there.receive(there.mail(number))
            async with asyncio.timeout(60):
                while len(await there.house.documents(zoe)) < number or (await there.flags())[-1] != FILED:
                    await there.house.run_tasks()
                    await asyncio.sleep(0.05)
            if number == 1:
                await asyncio.to_thread(there.server.stop)
                await asyncio.to_thread(there.server.start)
        assert not fetching.done()
    finally:
        fetching.cancel()
        with suppress(asyncio.CancelledError):
            await fetching


async def test_a_stranger_at_that_address_is_told_nothing(there: There, pki: Pki) -> None:
    """The certificate is checked before a password is said; wrong password and missing mailbox are told in words."""
    with pytest.raises(ssl.SSLCertVerificationError):
        await FarBox.open(there.place, ssl.create_default_context)
    there.secret.write_text("wrong\n")
    with pytest.raises(SourceTrouble, match=r"lets .* not in"):
        await FarBox.open(there.place, there.tls)
    there.secret.write_text("\n")
    with pytest.raises(SourceTrouble, match="no password"):
        await FarBox.open(there.place, there.tls)
    there.secret.write_text(PASSWORD)
    box = await FarBox.open(there.place, there.tls)
    lost = Fetcher("x", there.place, there.tls, LABORATORY, there.marks, there.fetcher()._rooms)
    with pytest.raises(NotFound, match="no application mailbox"):
        await lost.round(box)
    await box.close()


async def test_what_cannot_be_taken_stays_unread_and_is_marked(there: There) -> None:
    """Nobody files it, people see it there and are told once to look; what comes behind it is filed."""
    zoe, staff = await there.house.enrol(ZOE), await there.house.professional(str(POSTMASTER))
    too_deep = b"Content-Type: message/rfc822\r\n\r\n" * 60 + b"x"
    await there.receive(too_deep, there.mail(1))
    await there.round()
    await there.round()
    assert await there.flags() == [{"$MSSHeld"}, FILED]
    assert len(await there.house.documents(zoe)) == 1
    assert len(await there.house.store.read(lambda c: merges.every_message(c, staff))) == 1


async def test_a_server_like_ours_is_read_by_certificate(there: There, pki: Pki, tmp_path: Path) -> None:
    """EXTERNAL, STARTTLS, the same marks; one that is moved is found in its folder."""
    zoe = await there.house.enrol(ZOE)
    clock = ManualClock()
    async with imap_house(memory_keeper(clock), pki, tmp_path, clock) as other:
        mails = [f"Return-Path: <{LABORATORY}>\r\n".encode() + there.mail(1), there.mail(2, HUGO)]
        await other.put(*mails, user=SOFTWARE)
        there.place = FarPlace("localhost", other.starttls_port, SOFTWARE, starts_tls=True)
        there.marks = Marks(filed_folder="Classés")
        there.tls = lambda: other.client_tls(as_software=True)  # type: ignore[method-assign]
        for _ in range(2):
            await there.round()

        def look(folder: str) -> list[Any]:
            with imaplib.IMAP4_SSL("localhost", other.tls_port, ssl_context=there.tls()) as client:
                client.authenticate("EXTERNAL", lambda _: b"")
                client.select(folder, readonly=True)
                return list(client.fetch("1:*", "(FLAGS)")[1])

        (inbox,), (filed,) = await asyncio.to_thread(look, "INBOX"), await asyncio.to_thread(look, '"Class&AOk-s"')
        assert b"$MSSHeld" in inbox
        assert b"$MSSFiled" in filed
        assert len(await there.house.documents(zoe)) == 1
        assert len(await there.house.triage.held_list()) == 1


@pytest.mark.campaign
async def test_kill_9_in_the_middle_doubles_and_loses_nothing(
    there: There, tmp_path: Path, campaign_size: str, database_url: str, chance: SeededChance
) -> None:
    """A process that fetches is killed again and again, IDLE and all; afterwards each document stands once."""
    kills = {"small": 2, "full": 100}[campaign_size]
    there.house.clock.forward((SystemClock().now() - there.house.clock.now()).total_seconds() + 86_400)
    zoe = await there.house.enrol(ZOE)
    (tmp_path / "authorities.pem").write_bytes(there.pki.authority.bundle_pem)
    command = [sys.executable, "-m", "tests.kit.fetchchild", database_url, str(tmp_path), str(there.server.tls_port)]
    sent = 0
    for number in range(kills + 1):
        await there.receive(*(there.mail(sent + n) for n in range(1, 5)))
        sent += 4
        child = subprocess.Popen([*command, there.user], cwd=CHECKOUT, stdout=subprocess.PIPE)
        assert child.stdout is not None
        await asyncio.to_thread(child.stdout.readline)
        if number < kills:
            await asyncio.sleep(chance.below(400) / 1000)
            child.kill()
        else:
            async with asyncio.timeout(60):
                while await there.flags() != [FILED] * sent:
                    await there.house.run_tasks()
                    await asyncio.sleep(0.2)
            child.kill()
        await asyncio.to_thread(child.wait)
        child.stdout.close()
        await there.house.run_tasks()
    print(f"{kills} kills, {sent} messages there, {len(await there.house.documents(zoe))} documents")
    assert len(await there.house.documents(zoe)) == sent
    assert len(await there.house.sent()) == sent
