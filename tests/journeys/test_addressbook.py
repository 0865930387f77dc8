"""A doctor of the demo looks a colleague up in her mail program's address book, with OpenLDAP's client."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.kit import programs
from tests.kit.demo import Demo
from tests.kit.ldap_house import entries_of

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]


def test_a_colleague_is_found_by_the_beginning_of_her_name(demo: Demo) -> None:
    """As connection.json says, over StartTLS and over TLS; a wrong password finds nobody, nobody finds a patient."""
    operator, doctor = demo.told["operator"], demo.told["professionals"][0]
    program = str(programs.require("ldapsearch"))
    environment = os.environ | {"LDAPTLS_CACERT": demo.told["ca"]}

    def ask(asked: str, password: str, *, implicit: bool) -> subprocess.CompletedProcess[str]:
        at = operator["ldaps" if implicit else "ldap"]
        command = [program, "-LLL", "-x", "-H", f"{'ldaps' if implicit else 'ldap'}://localhost:{at['port']}"]
        command += ["-D", doctor["username"], "-w", password, "-b", "ou=bal,o=mssante,c=fr", asked]
        command += [] if implicit else ["-ZZ"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    for implicit in (False, True):
        found = ask("(|(cn=rous*)(mail=rous*)(sn=rous*))", doctor["password"], implicit=implicit)
        (entry,) = entries_of(found.stdout)
        assert entry["mail"] == ["ines.roussel@labo.mssante.example"]
        assert entry["o"] == ["Laboratoire des Tilleuls"]
    assert ask("(sn=roussel)", "aaaa-bbbb", implicit=True).returncode == 49
    assert ask("(sn=roussel)", doctor["web"]["password"], implicit=True).returncode == 49
    for patient in demo.told["patients"]:
        found = ask(f"(|(sn={patient['birth_name']})(mail={patient['address']}))", doctor["password"], implicit=True)
        assert (found.returncode, entries_of(found.stdout)) == (0, [])


def test_the_same_colleague_is_found_on_the_doctors_own_pages(demo: Demo) -> None:
    """With the password and codes of connection.json; her application password opens no page."""
    doctor, code = demo.told["professionals"][0], demo.authenticator.code
    way_in, visitor = doctor["web"], demo.visitor()
    form = visitor.get("/login")
    refused = visitor.post("/login", {"csrf": form.csrf, "login": way_in["login"], "password": doctor["password"]})
    assert refused.status == 401
    visitor.sign_in(way_in["login"], way_in["password"], lambda: code(way_in["totp_secret"]))
    page = visitor.get("/pro?name=roussel")
    assert "ines.roussel@labo.mssante.example" in page.text
    assert visitor.get("/inbox").status == 404
