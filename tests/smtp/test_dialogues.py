"""The mail doors say what the transcripts say, and between them every reply of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress
from mss.model.mailbox import AccountState
from mss.model.verdict import Reason
from mss.smtp.replies import REPLIES
from mss.store.messages import Direction
from tests.kit.mailroom import lab_gate, open_mailroom
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, Behind, SmtpHouse, smtp_house
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


@pytest.mark.parametrize("door", ["relay", "submission"])
async def test_the_contract_is_kept_by_a_real_house(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, pki: Pki, door: str
) -> None:
    """Every row that depends on people and content, with real mailboxes and a real judge behind the door."""
    gate = await lab_gate(pki, tmp_path)
    async with open_mailroom(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, gate, pki) as room:
        doctor = await room.professional(DOCTOR)
        await room.cellar.accounts.set_state(await room.professional("ferme"), AccountState.CLOSED)
        await room.cellar.accounts.set_state(await room.professional("suspendu"), AccountState.SUSPENDED)
        full = await room.professional("plein")
        await room.receive(MESSAGE, "plein", sender=MailAddress.parse(LAB_SENDER))
        await room.set_quota(full, 1)
        async with smtp_house(pki, behind=Behind(room.intake, room.submission, doctor)) as house:
            await play(house, DIALOGUES[0].parent / f"contract_{door}.smtp")
        kept = [one.direction for one in await room.stored(doctor)]
        assert kept == ([Direction.IN] * 2 if door == "relay" else [Direction.OUT])  # her own copy of what she sent
        assert len(await room.queued()) == (door == "submission")


CONTRACT = {
    "530 5.7.0", "550 5.7.1", "454 4.7.0", "501 5.1.7", "501 5.1.3", "550 5.1.1", "550 5.2.1", "450 4.2.1",
    "452 4.2.2", "552 5.3.4", "554 5.6.0", "554 5.7.1", "452 4.5.3",
}  # fmt: skip
"""What other operators may read (docs/reasons.md says why)."""


def test_every_code_of_the_contract_has_a_transcript() -> None:
    """Who writes a peer finds each of them in a conversation."""
    folder = DIALOGUES[0].parent
    told = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.smtp"))
    assert [code for code in sorted(CONTRACT) if f"S: {code}" not in told] == []


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
