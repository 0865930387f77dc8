"""Is this OpenPGP message for us, what does it say, and who signed it?

GnuPG in a home of its own for each message, which goes with it, agent and all. Keys come from files: ours without
passphrase beside the other keys of the house, and one file `ADDRESS.asc` for each sender who signs. Bounded in time,
memory and in what may come out. Whatever is not surely good is said by name.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gnupg

from mss.crypto import tool
from mss.model.signature import Signature, Unopened, worst

KEY_BYTES_MAX = 256 * 1024
"""Of a sender's file: a key with its certifications; photos are not needed."""
ENCRYPTED_BYTES_MAX = 35 * 1024 * 1024  # no message is larger
_OPTIONS = [
    "--max-output",
    str(tool.OUTPUT_BYTES_MAX),
    "--no-auto-key-retrieve",
    "--no-auto-key-locate",
    "--disable-dirmngr",
    "--no-auto-check-trustdb",
    "--pinentry-mode",
    "loopback",
    "--passphrase",
    "",
]
"""Nothing is asked of any server or person; what would inflate beyond the bound ends."""
_UNFIT = frozenset("/\\\0")
_WORDS = (
    ("BADSIG", Signature.BROKEN),
    ("REVKEYSIG", Signature.REVOKED),
    ("EXPKEYSIG", Signature.EXPIRED),
    ("EXPSIG", Signature.EXPIRED),
    ("ERRSIG", Signature.STRANGER),
    ("GOODSIG", Signature.VALID),
)
"""Status lines of GnuPG (doc/DETAILS)."""


class _BoundedGpg(gnupg.GPG):  # type: ignore[misc]
    """The library, whose children are bounded."""

    was_slow = False

    def __init__(self, folder: str) -> None:
        self._killers: list[threading.Timer] = []
        super().__init__(gnupghome=folder, options=_OPTIONS)

    def _open_subprocess(self, *words: Any, **more: Any) -> Any:
        process = super()._open_subprocess(*words, **more)
        tool.limit(process)

        def end() -> None:
            self.was_slow = True
            process.kill()

        killer = threading.Timer(tool.WALL_S, end)
        killer.daemon = True
        killer.start()
        self._killers.append(killer)
        return process

    def rest(self) -> None:
        """Nothing of it runs any more."""
        for killer in self._killers:
            killer.cancel()


class OpenPgp:
    """Our key, and those of senders."""

    def __init__(self, secret_key: Path | None, senders: Path | None) -> None:
        """`senders`: a directory of `ADDRESS.asc`, address in lower case."""
        self._secret_key = secret_key
        self._senders = senders

    def decrypt(self, data: bytes, sender: str) -> tuple[bytes, Signature]:
        """What is inside, and what its own signature is worth. Raises Unopened."""
        if self._secret_key is None:
            raise Unopened("no key of ours")
        if len(data) > ENCRYPTED_BYTES_MAX:
            raise Unopened("too large")
        with _home() as gpg:
            _take_in(gpg, self._secret_key)
            has_key = self._take_sender(gpg, sender)
            try:
                found = gpg.decrypt(data, always_trust=True)
            except BrokenPipeError:  # it ended before it had read all
                raise Unopened("GnuPG does not read it") from None
            said = _status(found.stderr)
            if gpg.was_slow:
                raise Unopened("too slow")
            # GnuPG calls what it cut off at the bound well decrypted.
            if len(found.data) >= tool.OUTPUT_BYTES_MAX or "--max-output" in found.stderr:
                raise Unopened("too large inside")
            if "DECRYPTION_OKAY" not in said or not found.ok:
                raise Unopened(_why(said))
            return bytes(found.data), _judged(said, has_key=has_key)

    def verify(self, signed: bytes, signature: bytes, sender: str) -> Signature:
        """A detached signature over octets (RFC 3156 §5). Never better than what is sure."""
        with _home() as gpg:
            has_key = self._take_sender(gpg, sender)
            with tempfile.NamedTemporaryFile(dir=gpg.gnupghome) as file:
                file.write(signature)
                file.flush()
                try:
                    found = gpg.verify_data(file.name, signed)
                except BrokenPipeError:  # what it was given as a signature is none, so it did not read the rest
                    return Signature.BROKEN
            if gpg.was_slow:
                return Signature.BROKEN
            return _judged(_status(found.stderr), has_key=has_key, must_be_there=True)

    def _take_sender(self, gpg: Any, sender: str) -> bool:
        """Import the sender's own key. Returns whether there is one."""
        name = sender.lower()
        if self._senders is None or not name or _UNFIT & set(name) or name.startswith("."):
            return False
        path = self._senders / f"{name}.asc"
        if not path.is_file() or path.stat().st_size > KEY_BYTES_MAX:
            return False
        _take_in(gpg, path)
        return True


@contextmanager
def _home() -> Iterator[Any]:
    """A GnuPG of its own, gone afterwards with every process of it."""
    with tempfile.TemporaryDirectory(prefix="mss-gpg-", ignore_cleanup_errors=True) as folder:
        gpg = _BoundedGpg(folder)
        try:
            yield gpg
        finally:
            gpg.rest()
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    ["gpgconf", "--homedir", folder, "--kill", "all"], capture_output=True, timeout=10, check=False
                )


def _take_in(gpg: Any, path: Path) -> None:
    try:
        found = gpg.import_keys(path.read_bytes())
    except OSError as problem:
        raise Unopened("a key file cannot be read") from problem
    if not found.count:
        raise Unopened("a key file holds no key")


def _status(text: str) -> list[str]:
    """The words of GnuPG's status lines."""
    lines = (line.split() for line in (text or "").splitlines() if line.startswith("[GNUPG:] "))
    return [line[1] for line in lines if len(line) > 1]


def _judged(said: list[str], *, has_key: bool, must_be_there: bool = False) -> Signature:
    found = [verdict for word, verdict in _WORDS if word in said]
    if not found:
        return Signature.BROKEN if must_be_there else Signature.NONE
    verdict = worst(*found)
    # We have the sender's key, and it did not sign: nobody signs for him.
    return Signature.OTHER if verdict is Signature.STRANGER and has_key else verdict


def _why(said: list[str]) -> str:
    if "NO_SECKEY" in said:
        return "not for our key"
    return "broken"
