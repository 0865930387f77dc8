"""Real mail clients list, read, flag, append, search, move and are pushed new mail, byte for byte."""

from __future__ import annotations

import asyncio
import imaplib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aioimaplib
import imapclient
import pytest

from tests.kit import programs
from tests.kit.imap_house import DOCTOR, PASSWORD, TEAM, ImapHouse, letter, numbered
from tests.kit.mbsync import MBSYNCRC

T = TypeVar("T")

AWKWARD = (
    b"From: =?utf-8?q?Ana=C3=AFs?= <a@labo.mssante.example>\r\nSubject: {12}\r\nMessage-ID: <awkward@labo>\r\n"
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(1, 10))
    + b"\r\n.\r\n..\r\n" + bytes(range(128, 256)) + b"\r\n" + b"x" * 5000 + b"\r\n* 1 EXPUNGE\r\na1 OK"
)  # fmt: skip


async def in_thread(work: Callable[[], T]) -> T:
    """A blocking client, while our loop serves it."""
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


async def test_imaplib_appends_reads_flags_searches_moves(house: ImapHouse) -> None:
    """Python's own client; what it puts in comes out byte for byte."""

    def visit() -> None:
        with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
            client.login(DOCTOR, PASSWORD)
            assert client.append("INBOX", "(\\Seen $Label1)", None, AWKWARD)[0] == "OK"
            assert client.select("INBOX") == ("OK", [b"1"])
            data: Any = client.fetch("1", "(FLAGS BODY.PEEK[])")[1]
            assert data[0][1] == AWKWARD
            assert b"\\Seen $Label1" in data[0][0]
            assert client.uid("SEARCH", "KEYWORD", "$Label1")[1] == [b"1"]
            assert client.store("1", "-FLAGS", "(\\Seen)")[0] == "OK"
            assert client.create('"Tri/Fait"')[0] == "OK"
            assert client.uid("MOVE", "1", '"Tri/Fait"')[0] == "OK"
            assert client.search(None, "ALL")[1] == [b""]
            assert client.select('"Tri/Fait"')[1] == [b"1"]
            data = client.fetch("1", "(FLAGS RFC822)")[1]
            assert data[0][1] == AWKWARD
            assert b"$Label1" in data[0][0]
            client.unselect()

    await in_thread(visit)


async def test_imaplib_starts_tls(house: ImapHouse) -> None:
    """The other port: STARTTLS, then a login."""

    def visit() -> list[Any]:
        client = imaplib.IMAP4("localhost", house.starttls_port)
        with pytest.raises(imaplib.IMAP4.error):
            client.login(DOCTOR, PASSWORD)
        client.starttls(house.client_tls())
        client.authenticate("PLAIN", lambda _: f"\0{DOCTOR}\0{PASSWORD}".encode())
        lines = client.list()[1]
        client.logout()
        return lines

    assert any(b"INBOX" in line for line in await in_thread(visit))


async def test_software_signs_in_with_its_certificate(house: ImapHouse) -> None:
    """AUTHENTICATE EXTERNAL, offered only to who has shown a certificate."""

    def visit(as_software: bool) -> bool:
        client = imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls(as_software=as_software))
        offered = "AUTH=EXTERNAL" in client.capabilities
        try:
            client.authenticate("EXTERNAL", lambda _: b"")
            return offered and client.select("INBOX")[0] == "OK"
        except imaplib.IMAP4.error:
            return offered
        finally:
            client.logout()

    assert await in_thread(lambda: visit(True))
    assert not await in_thread(lambda: visit(False))


async def test_imapclient_reads_envelope_structure_and_special_folders(house: ImapHouse) -> None:
    """A client that parses everything: ENVELOPE, BODYSTRUCTURE, SPECIAL-USE, NAMESPACE, IDLE."""
    await house.put(*numbered(2))

    def visit() -> None:
        with imapclient.IMAPClient("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
            client.login(DOCTOR, PASSWORD)
            assert client.find_special_folder(imapclient.imapclient.SENT) == "Envoyés"
            assert client.find_special_folder(imapclient.imapclient.TRASH) == "Corbeille"
            assert client.namespace().shared == (("Boîtes partagées/", "/"),)
            assert ((b"\\HasNoChildren",), b"/", f"Boîtes partagées/{TEAM}/INBOX") in client.list_folders()
            client.select_folder("INBOX")
            found = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "FLAGS"])
            assert found[2][b"ENVELOPE"].subject == b"Compte rendu 2"
            assert found[2][b"ENVELOPE"].from_[0].mailbox == b"jeanne.petit"
            assert found[2][b"BODYSTRUCTURE"][:2] == (b"text", b"plain")
            assert found[1][b"RFC822.SIZE"] == len(letter(1))
            assert client.search(["SUBJECT", "rendu 2"]) == [2]
            client.add_flags([1], [imapclient.DELETED])
            client.expunge([1])
            assert client.search() == [2]
            client.idle()
            assert client.idle_check(timeout=0.05) == []
            client.idle_done()

    await in_thread(visit)


async def test_aioimaplib_is_pushed_new_mail(house: ImapHouse) -> None:
    """IDLE: a message that is delivered is told within moments, without being asked for."""
    client = aioimaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls())
    await client.wait_hello_from_server()
    assert (await client.login(DOCTOR, PASSWORD)).result == "OK"
    await client.select("INBOX")
    idle = await client.idle_start(timeout=60)
    await house.put(letter(1))
    pushed = await asyncio.wait_for(client.wait_server_push(), 5)
    assert b"1 EXISTS" in pushed
    client.idle_done()
    await asyncio.wait_for(idle, 5)
    assert (await client.uid_search("UNSEEN")).lines[0] == b"1"
    response = await client.fetch("1", "(BODY[])")
    assert response.lines[1] == letter(1)
    await client.logout()


async def test_curl_lists_reads_and_appends(house: ImapHouse, tmp_path: Path) -> None:
    """A client of few words."""
    curl = programs.require("curl")
    await house.put(letter(1))

    def ask(url: str, *more: str) -> bytes:
        command = [str(curl), "-sS", "--max-time", "20", "--cacert", str(house.ca), "--user", f"{DOCTOR}:{PASSWORD}"]
        return subprocess.run(
            [*command, *more, f"imaps://localhost:{house.tls_port}/{url}"], capture_output=True, check=True
        ).stdout

    assert b"INBOX" in await in_thread(lambda: ask(""))
    assert await in_thread(lambda: ask("INBOX;UID=1")) == letter(1)
    assert b"SEARCH 1" in await in_thread(lambda: ask("INBOX?SUBJECT%20rendu"))
    path = tmp_path / "new.eml"
    path.write_bytes(letter(2))
    await in_thread(lambda: ask("INBOX", "-T", str(path)))
    assert await in_thread(lambda: ask("INBOX;UID=2")) == letter(2)


TUID = re.compile(rb"^X-TUID: .*\n", re.MULTILINE)
"""By which mbsync finds again what it has put somewhere."""


def _maildir(directory: Path, folder: str) -> dict[str, bytes]:
    """Messages of a Maildir folder by their Message-ID, with CRLF."""
    found = {}
    for path in [*(directory / folder / "cur").glob("*"), *(directory / folder / "new").glob("*")]:
        raw = TUID.sub(b"", path.read_bytes()).replace(b"\n", b"\r\n")
        number = next(line for line in raw.split(b"\r\n") if line.lower().startswith(b"message-id:"))
        found[number.decode()] = raw
    return found


async def test_mbsync_keeps_both_sides_the_same(house: ImapHouse, tmp_path: Path) -> None:
    """Two ways: what arrives comes down, what is flagged or put locally goes up, nothing is doubled."""
    mbsync = programs.require("mbsync")
    await house.put(*numbered(3))
    near = tmp_path / "mail"
    near.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        MBSYNCRC.format(
            port=house.tls_port,
            user=DOCTOR,
            password=PASSWORD,
            ca=house.ca,
            directory=near,
            folders="INBOX Archives",
        )
    )

    def sync() -> None:
        done = subprocess.run([str(mbsync), "-c", str(settings), "all"], capture_output=True, text=True, timeout=25)
        assert done.returncode == 0, done.stderr

    await in_thread(sync)
    here = _maildir(near, "INBOX")
    assert sorted(here.values()) == sorted(numbered(3))
    # a flag here, a message here, an arrival there
    one = next(iter((near / "INBOX" / "cur").glob("*")), None) or next(iter((near / "INBOX" / "new").glob("*")))
    one.rename(near / "INBOX" / "cur" / (one.name.partition(":")[0] + ":2,F"))
    (near / "INBOX" / "new" / "1.local").write_bytes(letter(9).replace(b"\r\n", b"\n"))
    await house.put(letter(4))
    await in_thread(sync)
    await in_thread(sync)
    box = house.keeper.boxes[DOCTOR]
    folder = await house.store.folder(box, "INBOX")
    assert folder.messages == 5
    snapshot = await house.store.snapshot(folder)
    flagged = [uid for index, uid in enumerate(snapshot.uids) if snapshot.marks(index)[0] & 4]
    assert len(flagged) == 1
    bodies = await house.store.bodies(folder, list(snapshot.uids))
    assert sum(body.startswith(b"From: Dr Jeanne Petit") for body in bodies.values()) == 5
    assert len(_maildir(near, "INBOX")) == 5
    # gone there, gone here
    await house.store.change_flags(folder, [2], *_deleted())
    await house.store.expunge(folder, [2])
    await in_thread(sync)
    assert len(_maildir(near, "INBOX")) == 4


def _deleted() -> tuple[Any, Any]:
    from mss.imap.commands import Flags, StoreMode
    from mss.model.mailbox import Flag

    return StoreMode.ADD, Flags(Flag.DELETED)
