"""A mailbox moves in from a Maildir, from Dovecot and from a server of ours: whole, once, as it was."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mss.bridge import imapsource
from mss.bridge.imapsource import ImapSource, Server
from mss.bridge.importing import GONE, OVER_QUOTA, TOO_LARGE, VIRTUAL
from mss.bridge.maildir import MaildirSource
from mss.bridge.source import SourceTrouble
from mss.crypto.tls import service_server_context
from mss.formats.mime import LIMITS
from mss.imap.commands import Flags, StoreMode
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import lane_of
from mss.model.mailbox import Flag
from mss.store import audit, owners
from mss.store.changes import ChangeBus
from tests.kit.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.kit.dovecot import client_tls, dovecot
from tests.kit.imap_house import DOCTOR, PASSWORD, imap_house, letter, memory_keeper
from tests.kit.moving import HERE, ORIGINALS, NewHome, expected, fill_by_imap, fill_maildir
from tests.kit.people import cellar
from tests.kit.pki import Pki


@pytest.fixture
async def home(tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[NewHome]:
    """An empty mailbox here."""
    async with cellar(f"sqlite:///{tmp_path}/here.db", tmp_path / "here", clock, chance) as below:
        yield NewHome(below, await below.professional(DOCTOR), ChangeBus("test"))


@pytest.fixture
async def any_home(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> AsyncIterator[NewHome]:
    """The same on each engine."""
    async with cellar(database_url, tmp_path / "here", clock, chance) as below:
        yield NewHome(below, await below.professional(DOCTOR), ChangeBus("test"))


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """The mailbox as files."""
    fill_maildir(tmp_path / "there", ORIGINALS)
    return tmp_path / "there"


async def test_a_maildir_moves_in_whole_and_once(any_home: NewHome, maildir: Path) -> None:
    """Folders, names, dates, flags, keywords and every byte; a second run finds nothing to do."""
    report = await any_home.bring(MaildirSource(maildir))
    assert not report.refused
    assert await any_home.holds() == expected()
    assert any_home.shown[-1] == (9, 9)
    again = await any_home.bring(MaildirSource(maildir))
    assert sum(one.brought for one in again.folders) == 0
    assert sum(one.stood for one in again.folders) == 9
    assert await any_home.holds() == expected()


@pytest.mark.parametrize("prefix", ["", "INBOX."])
async def test_a_mailbox_of_dovecot_moves_in_whole_and_once(home: NewHome, pki: Pki, prefix: str) -> None:
    """The same over IMAP from a foreign server, with STARTTLS and with TLS from the start; files then add nothing."""
    tls = client_tls(pki.authority.bundle_pem)
    with dovecot(pki.hospital, prefix) as there:

        def fill() -> None:
            with imaplib.IMAP4_SSL("localhost", there.tls_port, ssl_context=tls) as client:
                client.authenticate("PLAIN", lambda _: f"\0{DOCTOR}\0{DOVECOT_PASSWORD}".encode())
                fill_by_imap(client, ORIGINALS, ".", prefix)

        await asyncio.to_thread(fill)
        server = Server("localhost", there.tls_port, DOCTOR, DOVECOT_PASSWORD, tls)
        report = await home.bring(ImapSource(server))
        assert not report.refused
        assert await home.holds() == expected()
        again = await home.bring(ImapSource(replace(server, port=there.plain_port, starts_tls=True)))
        assert sum(one.brought for one in again.folders) == 0
        if not prefix:
            files = await home.bring(MaildirSource(there.maildir(DOCTOR)))
            assert sum(one.brought for one in files.folders) == 0
            assert await home.holds() == expected()


async def test_a_mailbox_of_our_own_server_moves_in_and_the_rest_follows(
    home: NewHome, pki: Pki, tmp_path: Path, clock: ManualClock
) -> None:
    """Between the first run and the last day the mailbox over there goes on living."""
    ours = tuple(replace(one, folder=HERE.get(one.folder, one.folder)) for one in ORIGINALS)
    async with imap_house(memory_keeper(clock), pki, tmp_path, clock) as there:

        def by_mail_program(work: Callable[[imaplib.IMAP4], None]) -> None:
            with imaplib.IMAP4_SSL("localhost", there.tls_port, ssl_context=there.client_tls()) as client:
                client.login(DOCTOR, PASSWORD)
                work(client)

        await asyncio.to_thread(by_mail_program, lambda client: fill_by_imap(client, ours, "/"))
        server = Server("localhost", there.tls_port, DOCTOR, PASSWORD, there.client_tls())
        assert not (await home.bring(ImapSource(server))).refused
        assert await home.holds() == expected(ours)

        # here one is moved and one deleted; over there one arrives, and a folder is made anew with the same mail
        inbox, archive = [await home.store.folder(home.box, name) for name in ("INBOX", "Archives")]
        await home.store.move(inbox, [1], archive)
        await home.store.change_flags(inbox, [2], StoreMode.ADD, Flags(Flag.DELETED))
        await home.store.expunge(inbox, [2])

        def live_on(client: imaplib.IMAP4) -> None:
            client.append("INBOX", "", None, letter(9))
            client.delete('"Envoy&AOk-s/2019"')
            fill_by_imap(client, tuple(one for one in ours if one.folder == "Envoyés/2019"), "/")

        await asyncio.to_thread(by_mail_program, live_on)
        again = await home.bring(ImapSource(server))
        assert [(one.source, one.brought) for one in again.folders if one.brought] == [("INBOX", 1)]
        held = await home.holds()
        assert sum(held["INBOX"].values()) == 3
        assert held["Envoyés/2019"] == expected()["Envoyés/2019"]
        third = await home.bring(ImapSource(server))
        assert sum(one.brought for one in third.folders) == 0


async def test_an_open_mail_client_is_told_of_what_moves_in(home: NewHome, maildir: Path) -> None:
    """Whoever watches the mailbox hears of each folder."""
    told: set[int] = set()
    home.bus.subscribe(home.owner, lambda _owner, folder: told.add(folder))
    await home.bring(MaildirSource(maildir))
    assert (await home.store.folder(home.box, "INBOX")).id in told


async def test_what_cannot_be_kept_is_told_with_its_reason(home: NewHome, maildir: Path) -> None:
    """Nothing is dropped in silence, and nothing of the machine comes in by a link."""
    (maildir / "secret").write_bytes(letter(8))
    cur = maildir / "cur"
    with (cur / "huge").open("wb") as file:
        file.truncate(LIMITS.octets + 1)  # sparse
    (cur / "zipped").write_bytes(b"\x1f\x8b\x08" + b"\0" * 30)
    (cur / "nul").write_bytes(b"Subject: a\n\n\0")
    (cur / "link").symlink_to(maildir / "secret")
    (maildir / ".Lien").symlink_to(maildir)
    report = await home.bring(MaildirSource(maildir), only=frozenset({"INBOX", "Perdu"}))
    why = {no.place or no.folder: no.why for no in report.refused}
    assert why["huge"] == TOO_LARGE
    assert why["zipped"].startswith("compressed by its server")
    assert why["nul"].endswith("nul-byte")
    assert "link" in why
    assert why["Perdu"] == "no such folder over there"
    assert len(why) == 5
    assert (await home.holds())["INBOX"] == expected()["INBOX"]


async def test_the_quota_is_kept_and_more_fits_when_it_grows(home: NewHome, maildir: Path) -> None:
    """What finds no room is named; after `mss mailbox quota` the next run brings it."""
    below = home.below
    await below.store.write(lane_of(home.owner), lambda c: owners.set_quota(c, home.owner, len(letter(1)) * 3))
    report = await home.bring(MaildirSource(maildir))
    assert {no.why for no in report.refused} == {OVER_QUOTA}
    held = sum(sum(seen.values()) for seen in (await home.holds()).values())
    assert 0 < held < 9
    assert len(report.refused) == 9 - held
    await below.store.write(lane_of(home.owner), lambda c: owners.set_quota(c, home.owner, 0))
    assert not (await home.bring(MaildirSource(maildir))).refused
    assert await home.holds() == expected()


async def test_a_dry_run_tells_and_brings_nothing(home: NewHome, maildir: Path) -> None:
    """Not even a folder."""
    before = await home.store.folders(home.box)
    report = await home.bring(MaildirSource(maildir), dry_run=True)
    assert sum(one.brought for one in report.folders) == 9
    assert await home.store.folders(home.box) == before


async def test_each_message_that_moved_in_is_in_the_audit(home: NewHome, maildir: Path) -> None:
    """`mss trace` tells where it came from."""
    await home.bring(MaildirSource(maildir))
    below = home.below
    hashed = below.public.lookup.message_id("<1.test@labo.mssante.example>")
    rows = await below.store.read(lambda c: audit.by_message_id(c, hashed))
    assert [row.act.act for row in rows] == ["mailbox.imported"]
    assert (await below.store.read(audit.verify))[1] == []


async def test_a_source_that_goes_away_is_asked_again_and_then_given_up(home: NewHome, pki: Pki) -> None:
    """A server that cuts the line in the middle of a message costs a pause, not a message."""
    script = Scripted(cuts=2)
    async with script.listening(pki) as (port, tls):
        server = Server("localhost", port, DOCTOR, "secret", tls)
        report = await home.bring(ImapSource(server, pauses_s=(0, 0, 0)))
        assert [no.why for no in report.refused] == [VIRTUAL, GONE]
        assert list((await home.holds())["INBOX"]) == [(letter(1), frozenset({"\\Seen"}), 837_596_665_000)]
        script.cuts = 99
        with pytest.raises(SourceTrouble, match="run the same command again"):
            await home.bring(ImapSource(replace(server, user="other"), pauses_s=(0,)))


@pytest.mark.parametrize(
    ("starts_tls", "at", "why"),
    [
        (False, "nobody", "nobody listens at 127.0.0.1:.*check host and port"),
        (False, "in clear", "does not begin with TLS .*add --starttls"),
        (True, "TLS", "does not greet in clear: .*leave --starttls out"),
        (False, "hangs up", "does not answer as an IMAP server"),
    ],
)
async def test_a_server_that_was_mistyped_is_told_at_once(
    home: NewHome, pki: Pki, monkeypatch: pytest.MonkeyPatch, starts_tls: bool, at: str, why: str
) -> None:
    """Nobody waits for nine minutes to read that the port is another: it is asked once, and the line says what to
    try."""
    monkeypatch.setattr(imapsource, "GREETING_S_MAX", 0.5 if at in ("TLS", "hangs up") else 20.0)

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if at != "hangs up":
            writer.write(b"* OK hello\r\n")
            await asyncio.sleep(5)
        writer.close()

    tls = service_server_context(pki.hospital.certificate_pem, pki.hospital.key_pem)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if at == "in clear" else tls)
    port = server.sockets[0].getsockname()[1]
    if at == "nobody":
        server.close()
        await server.wait_closed()
    client = client_tls(pki.authority.bundle_pem)
    asked = ImapSource(Server("127.0.0.1", port, DOCTOR, "secret", client, starts_tls), pauses_s=(3600,))
    with pytest.raises(SourceTrouble, match=why):
        await home.bring(asked)
    server.close()


class Scripted:
    """A server that gives one of two messages, after having broken off `cuts` times in the middle of it."""

    def __init__(self, cuts: int) -> None:
        self.cuts = cuts

    @asynccontextmanager
    async def listening(self, pki: Pki) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
        """Its port, and whom its clients trust."""
        tls = service_server_context(pki.hospital.certificate_pem, pki.hospital.key_pem)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        async with server:
            yield server.sockets[0].getsockname()[1], client_tls(pki.authority.bundle_pem)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        raw = letter(1)
        while line := await reader.readline():
            tag, command = line.split()[:2]
            if b"FETCH" in line and b"BODY" in line:
                head = b'* 1 FETCH (UID 7 FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {%d}\r\n'
                writer.write(head % len(raw) + raw[:100])
                if self.cuts:
                    self.cuts -= 1
                    break
                writer.write(raw[100:] + b")\r\n")
            elif b"FETCH" in line:
                for uid in (7, 8):
                    writer.write(b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (uid - 6, uid, len(raw)))
            elif command == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif command == b"LIST":
                writer.write(
                    b'* LIST () "/" INBOX\r\n* LIST (\\All) "/" {4}\r\nTout\r\n* LIST (\\NoSelect) "/" Rien\r\n'
                )
            elif command == b"EXAMINE":
                writer.write(b"* OK [UIDVALIDITY 3] fine\r\n")
            writer.write(tag + b" OK done\r\n")
        writer.close()
