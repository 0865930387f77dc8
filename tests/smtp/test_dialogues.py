"""The mail doors say what the transcripts say, and between them every reply of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from mss.model.verdict import Reason
from mss.smtp.replies import REPLIES
from tests.kit.smtp_wire import MESSAGE, SmtpHouse
from tests.smtp.dialogue import play

DIALOGUES = sorted((Path(__file__).parents[1] / "dialogues").glob("smtp_*.smtp"))
# Told by the door itself, not by the reception behind it; they have transcripts and refusals of their own.
OF_THE_DOOR = {
    Reason.TLS_REQUIRED, Reason.CERTIFICATE_REQUIRED, Reason.AUTHENTICATION_REQUIRED, Reason.AUTHENTICATION_FAILED,
    Reason.TOO_MANY_CONNECTIONS, Reason.SHUTTING_DOWN,
}  # fmt: skip


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem.removeprefix("smtp_"))
async def test_dialogue(house: SmtpHouse, path: Path) -> None:
    """Word for word, over real sockets."""
    await play(house, path)


@pytest.mark.parametrize("reason", sorted(set(REPLIES) - OF_THE_DOOR))
async def test_every_verdict_of_the_house_reaches_the_client(house: SmtpHouse, reason: Reason) -> None:
    """Whatever the house says of sender, recipient or message is told in its own words, and the session goes on."""
    client = await house.peer()
    expected = str(REPLIES[reason])
    assert str(await client.ask(f"MAIL FROM:<{reason.value}@labo.mssante.example>")) == expected
    assert (await client.ask("MAIL FROM:<bio@labo.mssante.example>")).code == 250
    assert str(await client.ask(f"RCPT TO:<{reason.value}@chu.mssante.example>")) == expected
    assert (await client.ask("RSET")).code == 250
    refused = await client.send(MESSAGE.replace(b"Compte rendu", reason.value.encode()))
    assert str(refused) == expected
    assert house.reception.kept == []
    assert (await client.send()).code == 250
    await client.close()
