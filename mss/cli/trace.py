"""`mss trace MESSAGE-ID`: the whole journey of a message, one readable line for each step, from the audit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings
from mss.config import Config
from mss.model.mailbox import MailboxKind
from mss.store import audit, messages, owners
from mss.store.audit import AuditRow
from mss.store.sql import Connection

PARIS = ZoneInfo("Europe/Paris")

KINDS = {
    MailboxKind.PATIENT: "patient",
    MailboxKind.PERSONAL: "professional",
    MailboxKind.OFFICE: "practice",
    MailboxKind.ORGANISATIONAL: "team",
    MailboxKind.APPLICATION: "software",
}
SENTENCES = {
    "mail.received": "received, durable in its mailbox",
    "mail.again": "received again, already standing: nothing changed",
    "mail.sent": "a copy stands in the sender's folder",
    "mail.written-for": "somebody wrote it in this mailbox's name",
    "absence.told": "the sender was told that the holder is away",
    "mail.queued": "queued for {result}",
    "mail.relayed": "relayed: the other operator took it ({result})",
    "mail.deferred": "not taken yet, will be tried again ({result})",
    "mail.late": "hours late; its sender is told, unless he wants no reports",
    "mail.failed": "could not be delivered ({result})",
    "mail.read": "opened the message",
    "mail.answered": "answered; the answer's journey:",
    "record.open": "opened the document in the record",
    "bridge.filed": "judged by the bridge: filed in the record and shown to the patient ({result})",
    "bridge.left": "judged by the bridge: nothing to file, shown to the patient",
    "mail.held": "held, seen by nobody ({result})",
    "held.released": "let go on its way ({result})",
    "bridge.held": "held for a human, shown to nobody ({result})",
    "bridge.announced": "announced: documents and message shown to the patient ({result})",
    "bridge.withdrawn": "took documents back ({result}); the message is not shown",
    "bridge.kept-back": "filed hidden, message kept back until it is announced ({result})",
    "record.told": "who had opened the document was told ({result})",
    "record.unfiled": "document taken out of a record that is not its own (correction {result})",
    "record.returned": "document put back where it was (correction {result})",
    "record.refiled": "filed in the record of the right patient ({result})",
    "record.refiled-here": "came into this record by a correction ({result})",
    "record.refile-failed": "could not be filed in the other record ({result}); it stays out",
    "record.unfile-out": "staff decided to take it out",
    "record.refile-proposed": "another record was proposed for it; a second person must agree, or does",
    "record.refile-decided": "staff decided into which record it goes",
    "record.return-proposed": "putting it back was proposed; a second person must agree, or does",
    "record.return-decided": "staff decided to put it back",
    "record.file-proposed": "filing by hand was proposed; a second person must agree",
    "record.file-decided": "a second person agreed to file it by hand",
    "record.merge-proposed": "joining two records was proposed",
    "record.merge-decided": "staff decided to join two records",
    "record.declined": "a proposal of staff was declined",
    "record.expired": "a proposal of staff expired, nobody agreed in time",
    "record.undone-here": "taken out again: the correction was undone",
    "record.looked": "a human looked at what was taken out",
    "held.shown": "looked at by a human ({result})",
    "held.filed": "filed by a human, who checked it ({result})",
    "held.refused": "refused by a human ({result})",
    "queue.retry": "to be tried again at once",
    "queue.hold": "kept back in the queue",
    "queue.release": "let go again",
    "test.received": "a test mail, to nobody's mailbox ({result})",
    "test.answer": "answered by the other operator's test mailbox",
    "mail.swept": "deleted for good: it had stood in no folder for weeks",
    "notice.sent": "its sender was told ({result})",
}


def trace(
    message_id: Annotated[str, typer.Argument(help="The Message-ID field, with or without angle brackets.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Tell the journey of a message through this operator."""
    steps = finish(_steps(settings(config), message_id))
    if not steps:
        fail("no message of that Message-ID passed here")
    if as_json:
        print(json.dumps([_fields(step.row) | {"by": step.by} for step in steps], indent=1))
        return
    for step in steps:
        indent = "  " if step.is_answer else ""
        print(f"{step.row.act.at.astimezone(PARIS):%Y-%m-%d %H:%M:%S}  {indent}{step.by}: {_sentence(step.row)}")


@dataclass(frozen=True, slots=True)
class Step:
    """One line: what happened, who did it, and whether it happened to the answer."""

    row: AuditRow
    by: str
    is_answer: bool = False


async def _steps(config: Config, message_id: str) -> list[Step]:
    named = message_id if message_id.startswith("<") else f"<{message_id}>"
    async with open_house(config) as ground:
        hashed = ground.public.lookup.message_id(named)
        return await ground.store.read(lambda c: list(_journey(c, hashed)))


def _journey(connection: Connection, hashed: bytes) -> Iterator[Step]:
    """The message's own steps, each answer's below the line that tells of it."""
    for row in audit.by_message_id(connection, hashed):
        yield Step(row, _by(connection, row))
        if row.act.act == "mail.answered":
            answer = messages.message_id_hmac(connection, row.act.owner, row.act.object)
            for own in audit.by_message_id(connection, answer) if answer else ():
                yield Step(own, _by(connection, own), is_answer=True)


def _fields(row: AuditRow) -> dict[str, Any]:
    act = row.act
    return {
        "at": act.at.isoformat(),
        "act": act.act,
        "actor": act.actor,
        "owner": str(act.owner),
        "object": str(act.object),
        "result": act.result,
        "lane": row.lane,
        "seq": row.seq,
    }


def _by(connection: Connection, row: AuditRow) -> str:
    """Who did it: the kind of a login (its number says nothing to a reader), a certificate's organisation."""
    actor = row.act.actor
    if actor.startswith("login:"):
        box = owners.mailbox(connection, int(actor.removeprefix("login:")))
        return KINDS[box.kind] if box is not None else "login"
    organisation = next((part[2:] for part in actor.split(",") if part.startswith("O=")), actor)
    return organisation[:40]


def _sentence(row: AuditRow) -> str:
    text = SENTENCES.get(row.act.act, row.act.act)
    return text.format(result=row.act.result).replace(" ()", "")
