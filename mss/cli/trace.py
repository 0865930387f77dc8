"""`mss trace MESSAGE-ID`: the whole journey of a message, one readable line for each step, from the audit."""

from __future__ import annotations

import json
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings
from mss.config import Config
from mss.store import audit
from mss.store.audit import AuditRow

PARIS = ZoneInfo("Europe/Paris")

SENTENCES = {
    "mail.received": "received, durable in its mailbox",
    "mail.again": "received again, already standing: nothing changed",
    "mail.sent": "a copy stands in the sender's folder",
    "mail.queued": "queued for {result}",
    "mail.relayed": "relayed: the other operator took it ({result})",
    "mail.deferred": "not taken yet, will be tried again ({result})",
    "mail.failed": "could not be delivered ({result})",
    "mail.read": "opened by its reader",
    "mail.answered": "answered",
    "bridge.filed": "judged by the bridge: filed in the record and shown to the patient ({result})",
    "bridge.left": "judged by the bridge: nothing to file, shown to the patient",
    "bridge.held": "held for a human, shown to nobody ({result})",
    "bridge.kept-back": "filed hidden, message kept back until it is announced ({result})",
    "bridge.released": "released to the patient",
    "bridge.refused": "refused by a human ({result})",
    "notice.sent": "its sender was told ({result})",
}


def trace(
    message_id: Annotated[str, typer.Argument(help="The Message-ID field, with or without angle brackets.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Tell the journey of a message through this operator."""
    rows = finish(_rows(settings(config), message_id))
    if not rows:
        fail("no message of that Message-ID passed here")
    if as_json:
        print(json.dumps([_fields(row) for row in rows], indent=1))
        return
    for row in rows:
        print(f"{row.act.at.astimezone(PARIS):%Y-%m-%d %H:%M:%S}  {_by(row)}  {_sentence(row)}")


async def _rows(config: Config, message_id: str) -> list[AuditRow]:
    named = message_id if message_id.startswith("<") else f"<{message_id}>"
    async with open_house(config) as ground:
        hashed = ground.public.lookup.message_id(named)
        return await ground.store.read(lambda c: audit.by_message_id(c, hashed))


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


def _by(row: AuditRow) -> str:
    """Who did it, short: a login's number says nothing to a reader, a certificate's organisation does."""
    actor = row.act.actor
    if actor.startswith("login:"):
        return "reader"
    organisation = next((part[2:] for part in actor.split(",") if part.strip().startswith("O=")), actor)
    return organisation.removeprefix("=").strip()[:40]


def _sentence(row: AuditRow) -> str:
    text = SENTENCES.get(row.act.act, row.act.act)
    return text.format(result=row.act.result).replace(" ()", "")
