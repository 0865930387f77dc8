"""`mss mailbox invite`: staff print a link for a professional, once, and take the way in away again."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.cli.conftest import Operator


def test_staff_invite_a_professional_to_the_pages(new_operator: Callable[..., Operator]) -> None:
    """A link with a secret for a person's mailbox; teams and strangers are refused in a line."""
    desk = new_operator()
    assert desk.mss("db", "upgrade").code == 0
    domain = "chu.mssante.example"
    person, team = f"camille@{domain}", f"equipe@{domain}"
    assert desk.mss("mailbox", "create", person, "--name", "Camille LEFORT").code == 0
    assert desk.mss("mailbox", "create", team, "--name", "Équipe", "--kind", "ORG").code == 0
    nowhere = desk.mss("mailbox", "invite", person)
    assert (nowhere.code, "no pages to sign in to" in nowhere.err) == (1, True)
    with desk.config.open("a") as file:
        file.write('\n[web]\nhttps = {host = "127.0.0.1", port = 8443}\ntls = {certificate = "a.pem", key = "a.key"}\n')
    said = desk.mss("mailbox", "invite", person)
    assert said.code == 0, said.err
    assert re.search(
        r"^https://relais.chu.mssante.example:8443/pro/invitation/[A-Za-z0-9_-]{43}$", said.out, re.MULTILINE
    ), said.out
    again = desk.mss("mailbox", "invite", person)
    assert again.out != said.out
    for address in (team, f"nobody@{domain}"):
        refused = desk.mss("mailbox", "invite", address)
        assert (refused.code, address in refused.err) == (1, True)
    assert "nobody opens a page" in desk.mss("mailbox", "invite", person, "--withdraw").out
    assert desk.mss("mailbox", "suspend", person).code == 0
    refused = desk.mss("mailbox", "invite", person)
    assert (refused.code, "verified" in refused.err) == (1, True)
