"""`mss mailbox import`: a mailbox moves in from another server or a Maildir, as often as one likes, nothing doubled."""

from __future__ import annotations

import json
import ssl
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mss.bridge.imapsource import ImapSource, Server
from mss.bridge.importing import Importing, Report, Wish
from mss.bridge.importput import ImportStore
from mss.bridge.maildir import MaildirSource
from mss.bridge.source import Source
from mss.cli.boxes import Address, kind_of, owner_of
from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, open_house, settings
from mss.config import Config
from mss.model.errors import BadValue
from mss.model.mailbox import MailboxKind

if TYPE_CHECKING:
    from collections.abc import Callable

WHO = "staff:command"
PASSWORD_OCTETS_MAX = 4096
TLS_PORT, STARTTLS_PORT = 993, 143
REFUSALS_SHOWN_MAX = 200
"""On a terminal; --json tells all of them."""
MEGABYTE = 1_000_000


def import_mailbox(
    address: Address,
    imap: Annotated[str, typer.Option(help="HOST or HOST:PORT of the other server, TLS from the start.")] = "",
    maildir: Annotated[Path | None, typer.Option(help="Directory of a Maildir.")] = None,
    user: Annotated[str, typer.Option(help="Who signs in over there, when not called like the address.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="First line: the password; - is standard input. Otherwise it is asked for.")
    ] = None,
    starttls: Annotated[bool, typer.Option("--starttls", help="TLS after STARTTLS, port 143.")] = False,
    authority: Annotated[Path | None, typer.Option(help="Authorities of the other server's certificate, PEM.")] = None,
    folder: Annotated[list[str] | None, typer.Option(help="Only this folder over there; may be repeated.")] = None,
    megabytes_per_second: Annotated[float, typer.Option("--rate", min=0.01, max=1000, help="At most, in MB/s.")] = 8.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be brought, and bring nothing.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Bring mail of another server: folders, dates, flags. May be stopped and run again; nothing is doubled."""
    if bool(imap) == (maildir is not None):
        fail("say where from: --imap HOST or --maildir DIR")
    read = settings(config)
    wish = Wish(frozenset(folder or ()), dry_run, int(megabytes_per_second * MEGABYTE))
    if maildir is not None:

        def open_source() -> Source:
            return MaildirSource(maildir)
    else:
        host, port = _host_and_port(imap, STARTTLS_PORT if starttls else TLS_PORT)
        password = _password(password_file, user or address, host)
        server = Server(host, port, user or address, password, _tls(authority), starts_tls=starttls)

        def open_source() -> Source:
            return ImapSource(server)

    report = finish(_import(read, address, open_source, wish))
    _tell(report, wish, as_json=as_json)
    if report.refused:
        fail(f"not brought: {len(report.refused)} (told above); all else is here, and the command may be run again")


async def _import(config: Config, address: str, open_source: Callable[[], Source], wish: Wish) -> Report:
    async with open_house(config) as ground:
        owner = await owner_of(ground, address)
        if await kind_of(ground, owner) is MailboxKind.PATIENT:
            raise BadValue("a patient's mailbox holds what was judged for her, and takes no import")
        keys = await ground.opener(ground.private()).open(owner, WHO, "mailbox import")
        lookup, clock, chance = ground.public.lookup, ground.clock, ground.chance
        keeper = ImportStore(ground.store, ground.bodies, lookup, ground.sealer, ground.bus, clock, chance)
        source = open_source()
        shown = _Progress()
        try:
            return await Importing(source, keeper, ground.store, lookup, clock).run(keys, wish, shown)
        finally:
            shown.end()
            await source.close()


class _Progress:
    """A bar for people; scripts see none."""

    WIDTH = 40

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()

    def __call__(self, done: int, in_all: int) -> None:
        if self._shows:
            filled = self.WIDTH * done // max(1, in_all)
            bar = "#" * filled + "-" * (self.WIDTH - filled)
            print(f"\r[{bar}] {done}/{in_all}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shows:
            print(file=sys.stderr)


def _host_and_port(text: str, usual: int) -> tuple[str, int]:
    """[IPv6]:PORT, HOST:PORT or HOST."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, str(usual)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        fail(f"{text}: not HOST or HOST:PORT")
    return host.strip("[]"), int(port)


def _password(path: Path | None, user: str, host: str) -> str:
    """From a file or a prompt: what stands on a command line, everybody on this machine may read."""
    if path is None:
        if not sys.stdin.isatty():
            fail("no terminal to ask for the password: use --password-file")
        return str(typer.prompt(f"Password of {user} at {host}", hide_input=True, err=True))
    try:
        if str(path) == "-":
            text = sys.stdin.read(PASSWORD_OCTETS_MAX)
        else:
            with path.open(encoding="utf-8") as file:
                text = file.read(PASSWORD_OCTETS_MAX)
    except (OSError, UnicodeDecodeError) as problem:
        fail(f"{path}: cannot be read ({type(problem).__name__})")
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        fail(f"{path}: its first line is empty")
    return password


def _tls(authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is not None:
        try:
            context.load_verify_locations(cafile=authority)
        except (OSError, ssl.SSLError) as problem:
            fail(f"{authority}: no authorities in PEM ({type(problem).__name__})")
    return context


def _tell(report: Report, wish: Wish, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report) | {"dry_run": wish.dry_run}, ensure_ascii=False, indent=1))
        return
    word = "would be brought" if wish.dry_run else "brought"
    for one in report.folders:
        arrow = "" if one.source == one.target else f" → {one.target}"
        megabytes = one.size_bytes / MEGABYTE
        print(f"{one.source}{arrow}: {one.brought} {word} ({megabytes:.1f} MB), {one.stood} here already")
    for no in report.refused[:REFUSALS_SHOWN_MAX]:
        print(f"not brought: {no.folder}{f' {no.place}' if no.place else ''}: {no.why}")
    if len(report.refused) > REFUSALS_SHOWN_MAX:
        print(f"… and {len(report.refused) - REFUSALS_SHOWN_MAX} more: --json tells all")
    if report.keywords_left:
        print(f"{report.keywords_left} messages lost a keyword: a folder has room for 62")
