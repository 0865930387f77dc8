"""Which programs of the system do tests use, and which Debian package brings each?

`require` is how a test says that it cannot run here: it skips with the package's name, so that nobody takes
a left-out group for a green one. Under `CI=true` nothing may be left out, and absence fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "chromium": "chromium",
    "clamd": "clamav-daemon",
    "curl": "curl",
    "dovecot": "dovecot-imapd",
    "gpg": "gnupg",
    "initdb": "postgresql",
    "ldapsearch": "ldap-utils",
    "mbsync": "isync",
    "neomutt": "neomutt",
    "offlineimap": "offlineimap3",
    "openssl": "openssl",
    "postfix": "postfix",
    "strace": "strace",
    "thunderbird": "thunderbird",
    "Xvfb": "xvfb",
}
"""Program to Debian package; `tests/kit/system-packages.sh` installs the same (tests/test_house.py compares)."""

DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")


def find(program: str) -> Path | None:
    """Where a program lies. PostgreSQL's own lie outside PATH on Debian; the newest version is taken."""
    if program in ("initdb", "postgres"):
        versions = [d for d in DEBIAN_POSTGRESQL.glob("*") if d.name.isdigit() and (d / "bin" / program).is_file()]
        if versions:
            return max(versions, key=lambda d: int(d.name)) / "bin" / program
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")  # Debian keeps daemons outside PATH
    return Path(found).resolve() if found else None


def require(program: str) -> Path:
    """The program's path, or the end of the test: skipped by hand, failed under CI."""
    if found := find(program):
        return found
    sentence = f"{program} is not installed; on Debian it comes with the package {PACKAGES.get(program, program)}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{sentence}, and under CI no group may be left out", pytrace=False)
    pytest.skip(sentence)
