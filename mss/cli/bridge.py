"""`mss bridge check|replay|sources`: what the bridge would do with a file or message, and what it fetches elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mss.bridgesections import Bridge
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings, show
from mss.config import Config
from mss.model.errors import BadValue, Malformed, MssError, NotFound
from mss.model.ids import MailAddress, OwnerId

if TYPE_CHECKING:
    from mss.bridge.checking import Report

app = typer.Typer(no_args_is_help=True, help="From mail to record.")
FILE_BYTES_MAX = 35 * 1024 * 1024
"""No message is larger."""
ACTOR = "staff:command"


@app.command()
def sources(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Application mailboxes at other operators: what was fetched from each, and what became of it."""
    rows = finish(_sources(settings(config)))
    columns = ("name", "host", "user", "into", "filed", "held", "left", "refused", "untaken", "pending")
    show(rows, as_json=as_json, columns=columns, empty="no source in the settings (bridge.sources)")


async def _sources(config: Config) -> list[dict[str, Any]]:
    from mss.assembly.sources import fetchers
    from mss.store import fetched

    words = (fetched.FILED, fetched.HELD, fetched.LEFT, fetched.REFUSED, fetched.UNTAKEN)
    rows: list[dict[str, Any]] = []
    async with open_house(config) as ground:
        for fetcher in fetchers(ground, config):
            section = config.bridge.sources[fetcher.name]
            box = await ground.recipients.reachable(MailAddress.parse(section.into))
            found: dict[str, int] = {}
            if box is not None:
                owner, source = box.owner, fetcher.source
                found = await ground.store.read(lambda c, owner=owner, source=source: fetched.tally(c, owner, source))  # type: ignore[misc]
            told = {"name": fetcher.name, "host": section.host, "user": section.user, "into": section.into}
            rows.append(told | {word: found.get(word, 0) for word in words} | {"pending": found.get("", 0)})
    return rows


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A mail (.eml), an IHE_XDM.zip, a CDA or a DICOM file.")],
    test_identities: Annotated[
        bool, typer.Option("--test-identities/--real-identities", help="As a domain that takes test identities.")
    ] = True,
    config: Annotated[
        Path | None, typer.Option(help="Settings of an operator: its keys, and whether it takes test identities.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What would become of it: structure, metadata, header, hashes, INS, names, filed or held. Files nothing, asks no
    server and looks into no record."""
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            fail(f"{file} is larger than {FILE_BYTES_MAX} octets: no mailbox takes it")
        data = file.read_bytes()
    except OSError as problem:
        fail(f"{file}: {problem.strerror or problem}")
    read = None if config is None else settings(config)
    bridge, accepts = (None, test_identities) if read is None else (read.bridge, read.accepts_test_identities)
    report = finish(_check(file.name, data, bridge, accepts=accepts))
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    else:
        print(report.text())
    raise typer.Exit(0 if report.is_good else 1)


async def _check(name: str, data: bytes, bridge: Bridge | None, *, accepts: bool) -> Report:
    from mss.assembly.triage import checker_of
    from mss.bridge.attachments import is_archive, is_cda
    from mss.formats import dicom
    from mss.model.clock import SystemChance, SystemClock
    from mss.sandbox.pool import Sandbox

    is_file = is_archive(name, data) or is_cda(data) or dicom.is_dicom(data) or data.startswith(b"PK\x03\x04")
    raw = _mail_around(name, data) if is_file else data
    sandbox = Sandbox()
    sandbox.start()
    try:
        clock, chance = SystemClock(), SystemChance()
        checker = checker_of(bridge or Bridge(), sandbox, clock, chance, accepts_test_identities=accepts)
        return await checker.check(raw)
    except Malformed as malformed:
        raise BadValue(f"{name} is neither a document nor a mail that a door would take ({malformed})") from None
    finally:
        sandbox.close()


def _mail_around(name: str, data: bytes) -> bytes:
    """As if a mail had brought the file."""
    from email.message import EmailMessage
    from email.policy import SMTP

    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "-"
    mail.set_content("-\n")
    mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


@app.command()
def replay(
    message_id: Annotated[str, typer.Argument(help="Message-ID of a mail that came here, with its angle brackets.")],
    really: Annotated[bool, typer.Option("--really", help="File it now if nothing objects any more.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Judge a message again, as things stand now. Changes nothing unless told to; the look is written down."""
    rows = finish(_replay(settings(config), message_id, really=really))
    columns = ("owner", "message", "state", "verdict", "reason", "detail", "done")
    show(rows, as_json=as_json, columns=columns, empty="nothing")


async def _replay(config: Config, message_id: str, *, really: bool) -> list[dict[str, Any]]:
    from mss.assembly.triage import bridge_of, triage_of
    from mss.bridge.facts import Hold
    from mss.bridge.matching import judge
    from mss.sandbox.pool import Sandbox
    from mss.store import audit, records

    sandbox = Sandbox()
    sandbox.start()
    try:
        async with open_house(config) as ground:
            keys = ground.private()
            opener = ground.opener(keys)
            cases, triage = bridge_of(ground, opener, sandbox).cases, triage_of(ground, keys, opener, sandbox)
            hashed = ground.public.lookup.message_id(message_id)
            acts = await ground.store.read(lambda c: audit.by_message_id(c, hashed))
            places = dict.fromkeys((row.act.owner, row.act.object) for row in acts if row.act.act == "mail.received")
            rows = []
            for owner, number in places:
                case = await cases.of_application(OwnerId(owner), number, ACTOR)
                case = case or await cases.open(OwnerId(owner), number, ACTOR)
                if case is None:
                    continue
                verdict = await ground.store.read(lambda c, case=case: judge(cases.facts(c, case)))  # type: ignore[misc]
                held = await ground.store.read(lambda c, o=owner, n=number: records.held_of_message(c, o, n))  # type: ignore[misc]
                is_held = isinstance(verdict, Hold)
                done = ""
                if really and not is_held and held is not None and held.state == records.HeldState.WAITING:
                    done = f"{await triage.file(held.id, ACTOR)} filed"
                rows.append(
                    {
                        "owner": str(owner),
                        "message": str(number),
                        "state": held.state if held is not None else case.stored.state,
                        "verdict": type(verdict).__name__.lower(),
                        "reason": verdict.reason.value if isinstance(verdict, Hold) else "",
                        "detail": verdict.detail if isinstance(verdict, Hold) else "",
                        "done": done or ("dry: nothing was changed" if not really else "nothing to do"),
                    }
                )
    except NotFound as problem:
        raise MssError(f"it cannot be judged again: {problem}") from problem
    finally:
        sandbox.close()
    if not rows:
        raise MssError("no message of that Message-ID came here: see mss trace")
    return rows
