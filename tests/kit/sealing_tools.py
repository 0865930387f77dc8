"""Mails as people's programs sign and encrypt them: GnuPG and OpenSSL with keys of invented people, made once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mss.crypto.authority import Issued
from tests.kit import programs


def split(mail: bytes) -> tuple[bytes, bytes]:
    """The fields that say who writes to whom, and the MIME entity: its Content-* fields and the body."""
    head, _, body = mail.partition(b"\r\n\r\n")
    outer: list[bytes] = []
    inner: list[bytes] = []
    kept = outer
    for line in head.split(b"\r\n"):
        if not line[:1].isspace():
            kept = inner if line.lower().startswith((b"content-", b"mime-version")) else outer
        kept.append(line)
    entity = [line for line in inner if not line.lower().startswith(b"mime-version")]
    return b"\r\n".join(outer) + b"\r\nMIME-Version: 1.0\r\n", b"\r\n".join(entity) + b"\r\n\r\n" + body


def _lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Pgp:
    """A GnuPG home with keys of ours, of the sender, of a stranger, and one whose time is over."""

    def __init__(self, folder: Path) -> None:
        programs.require("gpg")
        self.home = folder / "gpg"
        self.home.mkdir(mode=0o700)
        self.senders = folder / "senders"
        self.senders.mkdir()
        self.secret = folder / "bridge.asc"

    def make(self, address: str, *, expires: str = "2d", long_ago: bool = False) -> None:
        """A key that signs, and one below it that encrypts."""
        faked = ["--faked-system-time", "20200101T000000!"] if long_ago else []
        self._gpg(*faked, "--quick-generate-key", address, "ed25519", "sign", expires)
        told = self._gpg("--with-colons", "--list-keys", address).decode()
        number = next(line.split(":")[9] for line in told.splitlines() if line.startswith("fpr"))
        self._gpg(*faked, "--quick-add-key", number, "cv25519", "encr", expires)

    def publish(self, address: str, as_address: str = "") -> None:
        """Its public key among those of senders."""
        (self.senders / f"{as_address or address}.asc").write_bytes(self._gpg("--armor", "--export", address))

    def give_secret(self, address: str) -> None:
        self.secret.write_bytes(self._gpg("--armor", "--export-secret-keys", address))

    def encrypted(self, mail: bytes, to: str, *, signer: str = "", compress: int = 1) -> bytes:
        outer, entity = split(mail)
        signs = ["--sign", "--local-user", signer] if signer else []
        words = ["--armor", "--trust-model", "always", "--compress-level", str(compress), "--recipient", to]
        packed = self._gpg(*words, *signs, "--encrypt", data=entity)
        return outer + (
            b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e1\r\n\r\n'
            b"--e1\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
            b"--e1\r\nContent-Type: application/octet-stream\r\n\r\n" + _lines(packed) + b"\r\n--e1--\r\n"
        )

    def signed(self, mail: bytes, signer: str, *, long_ago: bool = False) -> bytes:
        outer, entity = split(mail)
        faked = ["--faked-system-time", "20200101T120000!"] if long_ago else []
        signature = self._gpg(*faked, "--armor", "--local-user", signer, "--detach-sign", data=entity)
        return outer + (
            b'Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512; boundary=s1\r\n'
            b"\r\n--s1\r\n" + entity + b"\r\n--s1\r\nContent-Type: application/pgp-signature\r\n\r\n"
            + _lines(signature) + b"\r\n--s1--\r\n"
        )  # fmt: skip

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, timeout=20)

    def _gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--pinentry-mode", "loopback"]
        done = subprocess.run([*command, "--passphrase", "", *words], input=data, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout


def smime_signed(mail: bytes, signer: Issued, folder: Path, *, opaque: bool = False) -> bytes:
    """By OpenSSL, detached or with the content inside."""
    outer, entity = split(mail)
    form = ["-nodetach"] if opaque else []
    words = ["-sign", "-binary", "-outform", "DER", *form]
    der = _openssl(folder, [*words, "-signer", "signer.pem", "-inkey", "signer.key"], entity, signer=signer)
    if opaque:
        return outer + _pkcs7(der, "signed-data")
    return outer + (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=m1\r\n\r\n'
        b"--m1\r\n" + entity + b"\r\n--m1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(der) + b"\r\n--m1--\r\n"
    )


def smime_encrypted(mail: bytes, to: Issued, folder: Path) -> bytes:
    outer, entity = split(mail)
    (folder / "to.pem").write_bytes(to.certificate_pem)
    der = _openssl(folder, ["-encrypt", "-binary", "-aes256", "-outform", "DER", "to.pem"], entity)
    return outer + _pkcs7(der, "enveloped-data")


def _pkcs7(der: bytes, kind: str) -> bytes:
    head = f"Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n".encode()
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(der)


def _base64(data: bytes) -> bytes:
    import base64

    return _lines(base64.encodebytes(data))


def _openssl(folder: Path, words: list[str], data: bytes, signer: Issued | None = None) -> bytes:
    if signer is not None:
        (folder / "signer.pem").write_bytes(signer.certificate_pem)
        (folder / "signer.key").write_bytes(signer.key_pem)
    command = ["openssl", "cms", *words]
    done = subprocess.run(command, cwd=folder, input=data, capture_output=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout
