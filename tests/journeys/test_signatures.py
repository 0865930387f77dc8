"""What a professional signs is still signed when it is read: S/MIME and OpenPGP, through submission, relay and IMAP."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
from pathlib import Path
from typing import Any

from tests.kit import programs
from tests.kit.demo import PATIENCE_S, Demo, until

TEXT = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"From ici : r\xc3\xa9sultat  \r\n.\r\n..deux points\r\n\ttabulation \t\r\n\r\n" + b"x" * 900 + b"\r\nfin\r\n"
)
"""What careless servers change: a From line, dots, blanks at line ends, eight bits, a long line."""


def _people(demo: Demo) -> tuple[dict[str, Any], dict[str, Any]]:
    writers = demo.told["professionals"]
    return next(p for p in writers if p["operator"] == "A"), next(p for p in writers if p["operator"] == "B")


def _send(demo: Demo, writer: dict[str, Any], to: str, subject: str, signed: bytes) -> None:
    """Through submission, as a mail program does."""
    at = demo.told["operator"]["submissions"]
    head = f"From: {writer['address']}\r\nTo: {to}\r\nSubject: {subject}\r\n".encode()
    with smtplib.SMTP_SSL(at["host"], at["port"], context=demo.tls(), timeout=PATIENCE_S) as client:
        client.login(writer["username"], writer["password"])
        client.sendmail(writer["address"], [to, writer["address"]], head + signed, ["BODY=8BITMIME"])


def _arrived(demo: Demo, address: str, subject: str) -> bytes:
    """Its octets over IMAP, once it is there."""

    def look() -> bytes | None:
        with demo.imap(address) as client:
            client.select("INBOX", readonly=True)
            found = client.uid("SEARCH", "HEADER", "Subject", subject)[1][0].split()
            if not found:
                return None
            data: Any = client.uid("FETCH", found[0].decode(), "(BODY.PEEK[])")[1]
            raw: bytes = data[0][1]
            return raw

    return until(look, 30)


def _run(directory: Path, line: str, *more: str) -> None:
    program, *words = line.split()
    command = [str(programs.require(program)), *words, *more]
    environment = os.environ | {"GNUPGHOME": str(directory)}
    done = subprocess.run(command, cwd=directory, env=environment, input=b"\n", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def test_an_smime_signature_survives(demo: Demo, tmp_path: Path) -> None:
    """OpenSSL agrees with it at the other operator, and in the writer's own copy."""
    writer, reader = _people(demo)
    (tmp_path / "text").write_bytes(TEXT)
    subject = f"/CN={writer['name']}/emailAddress={writer['address']}"
    new_key = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout k.pem -out c.pem"
    _run(tmp_path, new_key, "-subj", subject, "-addext", "extendedKeyUsage=emailProtection")
    _run(tmp_path, "openssl cms -sign -binary -crlfeol -in text -signer c.pem -inkey k.pem -out signed")
    signed = re.sub(rb"(?<!\r)\n", b"\r\n", (tmp_path / "signed").read_bytes())  # its own lines end as this machine's
    _send(demo, writer, reader["address"], "smime-9317", signed)
    for address in (reader["address"], writer["address"]):
        (tmp_path / "came").write_bytes(_arrived(demo, address, "smime-9317"))
        _run(tmp_path, "openssl cms -verify -binary -crlfeol -in came -CAfile c.pem -purpose any -out out")
        assert (tmp_path / "out").read_bytes() == TEXT


def test_a_pgp_signature_survives(demo: Demo, tmp_path: Path) -> None:
    """GnuPG agrees with it, over the part as it came (RFC 3156 §5)."""
    writer, reader = _people(demo)
    tmp_path.chmod(0o700)
    (tmp_path / "text").write_bytes(TEXT)
    gpg = "gpg --batch --pinentry-mode loopback --passphrase-fd 0"
    _run(tmp_path, f"{gpg} --quick-generate-key {writer['address']} ed25519 sign 1d")
    _run(tmp_path, f"{gpg} --armor --detach-sign --output text.asc text")
    signature = (tmp_path / "text.asc").read_bytes().replace(b"\n", b"\r\n")
    signed = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b42; micalg=pgp-sha512;\r\n"
        b' protocol="application/pgp-signature"\r\n\r\n--b42\r\n' + TEXT + b"\r\n--b42\r\n"
        b"Content-Type: application/pgp-signature\r\n\r\n" + signature + b"\r\n--b42--\r\n"
    )
    _send(demo, writer, reader["address"], "pgp-9318", signed)
    for address in (reader["address"], writer["address"]):
        parts = _arrived(demo, address, "pgp-9318").split(b"\r\n--b42")
        (tmp_path / "text").write_bytes(parts[1].removeprefix(b"\r\n"))
        (tmp_path / "text.asc").write_bytes(parts[2].partition(b"\r\n\r\n")[2])
        _run(tmp_path, "gpg --batch --verify text.asc text")
