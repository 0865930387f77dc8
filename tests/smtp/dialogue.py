"""Conversations with a mail door as transcripts: `C:` we send, `S:` the reply begins so (all its lines are one reply).

Besides, in `tests/dialogues/*.smtp`:
`# …` a remark; `@relay`, `@peer`, `@submission`, `@submissions`, `@login` (first) where the transcript begins: at the
greeting, or as the laboratory's server encrypted and introduced, or signed in as the doctor.
Several `C:` in a row are one packet. `C>` the same without CRLF, with Python's escapes; `{message}` a whole message.
`C! tls lab` starts TLS and shows that certificate (`lab`, `hospital`, `stranger`, or `none`).
`S~` a regular expression that must match somewhere in the last reply, `S^` one that must not; `S! closed` the end.
`S* 100 …` so many replies that begin so.
`{auth}`, `{wrong}` are PLAIN responses, `{sender}`, `{doctor}` addresses; what `{message}` and the like stand for is in
`OCTETS`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

from mss.crypto.authority import Issued
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, PASSWORD, Heard, SmtpClient, SmtpHouse

_STEP = re.compile(r"([CS])([:>!~^*]) ?(.*)\Z")
OCTETS = {
    b"{message}": MESSAGE,
    b"{hundred}": b"".join(b"RCPT TO:<%d@patient.mssante.example>\r\n" % (279035121518900 + n) for n in range(100)),
    b"{long}": b"x" * 65_537,
    b"{received}": b"Received: from a.example by b.example; Mon, 5 Jan 2026 10:00:00 +0100\r\n" * 51,
    b"{deep}": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(30)),
    b"{parts}": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 600,
}
"""In `C>`: what would be too long to read in a transcript."""


def plain(username: str, password: str, identity: str = "") -> str:
    """A PLAIN response (RFC 4616)."""
    return base64.b64encode(f"{identity}\0{username}\0{password}".encode()).decode()


WORDS = {
    "{sender}": LAB_SENDER,
    "{doctor}": DOCTOR,
    "{auth}": plain(DOCTOR, PASSWORD),
    "{wrong}": plain(DOCTOR, "guess"),
    "{nobody}": plain("nobody@chu.mssante.example", PASSWORD),
    "{no-store}": plain("no-store", PASSWORD),
}


def steps(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Line number, who, kind and text of each step."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith(("#", "@")):
            continue
        step = _STEP.match(line)
        assert step, f"{path.name}:{number}: not a step"
        text = step[3]
        for word, meaning in WORDS.items():
            text = text.replace(word, meaning)
        yield number, step[1], step[2], text


async def begin(house: SmtpHouse, path: Path) -> SmtpClient:
    """A client where the transcript begins."""
    where = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("@")
    if where == "peer":
        return await house.peer()
    if where == "login":
        client = await SmtpClient.connect(house.ports["submissions"], house.shows(None))
        await client.hear()
        await client.ask("EHLO poste.chu.mssante.example")
        assert (await client.ask("AUTH PLAIN " + WORDS["{auth}"])).code == 235
        return client
    context = house.shows(None) if where == "submissions" else None
    return await SmtpClient.connect(house.ports[where], context)


def certificate(house: SmtpHouse, name: str) -> Issued | None:
    known = {"lab": house.pki.lab, "hospital": house.pki.hospital, "none": None}
    return known[name] if name in known else house.pki.server_only()


async def play(house: SmtpHouse, path: Path) -> None:
    """Say and hear everything in the transcript."""
    client = await begin(house, path)
    waiting: list[bytes] = []
    heard: Heard | None = None
    for number, who, kind, text in steps(path):
        place = f"{path.name}:{number}"
        if who == "C" and kind == ":":
            waiting.append(text.encode() + b"\r\n")
            continue
        if who == "C" and kind == ">":
            octets = text.encode().decode("unicode_escape").encode("latin-1")
            waiting.append(re.sub(rb"\{[a-z]+\}", lambda word: OCTETS[word[0]], octets))
            continue
        if waiting:
            await client.say(b"".join(waiting))
            waiting.clear()
        if who == "C":
            await client.encrypt(house.shows(certificate(house, text.removeprefix("tls "))))
        elif kind == "!":
            assert await client.is_closed(), f"{place}: still open"
        elif kind in ":*":
            times, text = text.split(" ", 1) if kind == "*" else ("1", text)
            for _ in range(int(times)):
                heard = await client.hear()
                assert heard.text.startswith(text), f"{place}: {heard}"
        else:
            assert heard is not None, place
            assert bool(re.search(text, heard.text, re.MULTILINE)) is (kind == "~"), f"{place}: {heard}"
    await client.close()
