"""The authority of the demo and the tests, and the script that makes certificates for developers."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mss.crypto.authority import Authority, write_file
from mss.crypto.certs import load_certificates, name_of, verify_path
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue
from tests.kit.pki import LAB, Pki
from tests.kit.samples import CHECKOUT


def test_certificates_lead_to_the_root_in_three_levels(pki: Pki) -> None:
    """As at IGC-Santé: root, authority for organisations, operator."""
    root, organisations = pki.authority.certificates
    assert verify_path(pki.lab.certificate, [root], [organisations], pki.now) == ""
    assert verify_path(pki.lab.certificate, [root], [], pki.now)
    assert verify_path(pki.lab.certificate, [root], [organisations], pki.now + timedelta(days=2000))


def test_an_authority_that_was_kept_goes_on_issuing(pki: Pki, tmp_path: Path) -> None:
    """A second start of the demo keeps its certificates valid."""
    pki.authority.save(tmp_path / "authority")
    again = Authority.load(tmp_path / "authority")
    issued = again.issue(LAB, now=pki.now)
    root, organisations = pki.authority.certificates
    assert again.certificates == (root, organisations)
    assert verify_path(issued.certificate, [root], [organisations], pki.now) == ""
    with pytest.raises(BadValue, match="root"):
        Authority.load(tmp_path)


def test_keys_are_for_their_owner_alone(pki: Pki, tmp_path: Path) -> None:
    """From the first octet on, and also when a file that everybody could read is replaced."""
    pki.authority.save(tmp_path / "authority")
    (tmp_path / "lab.key").write_text("old")
    (tmp_path / "lab.key").chmod(0o666)
    pki.lab.write(tmp_path, "lab")
    keys = list(tmp_path.rglob("*.key"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    with pytest.raises(OSError):
        write_file(tmp_path / "absent" / "x", b"", mode=0o600)


def test_the_script_makes_what_its_page_promises(tmp_path: Path) -> None:
    """Certificates, keys, lists; every pair fits, every name is in the list."""
    out = tmp_path / "out"
    script = CHECKOUT / "certs" / "make"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, script, "--out", out], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    made = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    page = (CHECKOUT / "certs" / "README.md").read_text()
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert made == named
    bundle = load_certificates((out / "ca.pem").read_bytes())
    for path in out.rglob("*.pem"):
        key = path.with_suffix(".key")
        if key.exists():
            leaf = load_certificates(path.read_bytes())[0]
            private = load_pem_private_key(key.read_bytes(), None)
            assert private.public_key() == leaf.public_key()
    listed = (out / "trust-list.xml").read_text()
    leaf = load_certificates((out / "operator-a.pem").read_bytes())[0]
    assert DistinguishedName.parse(str(name_of(leaf.subject))) == name_of(leaf.subject)
    assert str(name_of(leaf.subject)) in listed
    assert len(bundle) == 2
    again = subprocess.run([sys.executable, script, "--out", out], env=environment, capture_output=True, timeout=60)
    assert again.returncode == 1  # what is there is not overwritten by chance
