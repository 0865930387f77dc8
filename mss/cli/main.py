"""The `mss` command: finds the word and runs it. Heavy rooms are imported by the command that needs them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, finish, settings, tell_findings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Secure health messaging: relay, mailboxes, bridge, record, patient's pages.",
)
GROUPS = (
    "config",
    "trust",
    "directory",
    "db",
    "mailbox",
    "patient",
    "queue",
    "held",
    "bridge",
    "record",
    "incident",
    "sink",
    "staff",
    "audit",
)
"""Modules of mss/cli with an `app` of their own."""
SINGLE = ("trace", "stats")
"""Modules of mss/cli with one command, named like them."""
SERVERS = ("serve", "demo")
"""They go on, and tell in a journal."""


@app.command()
def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    only: Annotated[
        str, typer.Option(help="Some roles only: relay-in,submission,relay-out,imap,web,ldap,runner.")
    ] = "",
) -> None:
    """Run this operator: the processes edge, desk and works under one supervisor."""
    from mss.cli.serve import run_operator

    read = settings(config)
    finish(run_operator(config, read, [role.strip() for role in only.split(",") if role.strip()]))


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where the demo keeps its things.")] = Path(".demo"),
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port_base: Annotated[int, typer.Option(min=0, max=50_000, help="Added to each well-known port.")] = 10_000,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Run two operators with invented people on this machine, until Ctrl-C."""
    from mss.demo.run import run_demo

    if not host.startswith("127."):
        fail("the demo has known passwords, so it listens on loopback only: use a 127.x.x.x address")
    finish(run_demo(directory.resolve(), host, port_base, lambda text: print(text, flush=True), quiet=quiet))


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Look whether all is well here: keys, disk, tables, certificates, lists; each red line with what to do."""
    from mss.cli.check import look, records
    from mss.model.clock import SystemChance, SystemClock

    read = settings(config)
    findings = finish(look(read, SystemClock(), SystemChance()))
    if not as_json and (lines := records(read)):
        print("DNS records by which mail clients find us:")
        print("\n".join(f"  {line}" for line in lines) + "\n")
    tell_findings(findings, as_json=as_json)


@app.command()
def code(secret: Annotated[str, typer.Argument(help="Secret of a one-time-code app, base32.")]) -> None:
    """Print the one-time code that a phone would show now: for the demo, in place of a phone."""
    import pyotp

    print(pyotp.TOTP(secret).now())


@app.command()
def send(
    to: Annotated[str, typer.Option(help="Address of the patient or mailbox.")] = "",
    cda: Annotated[list[Path] | None, typer.Option(help="A CDA document; may be repeated.")] = None,
    pdf: Annotated[list[Path] | None, typer.Option(help="A readable copy; may be repeated.")] = None,
    dicom: Annotated[list[Path] | None, typer.Option(help="A DICOM file; may be repeated.")] = None,
    sender: Annotated[str, typer.Option("--from", help="Our application mailbox.")] = "",
    cert: Annotated[Path | None, typer.Option(help="Certificate of the application mailbox.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    host: Annotated[str, typer.Option(help="Submission server; otherwise from --config.")] = "",
    port: Annotated[int, typer.Option(help="Its implicit-TLS port.")] = 465,
    ca: Annotated[Path | None, typer.Option(help="Authorities that the server's certificate must come from.")] = None,
    reply_to: Annotated[str, typer.Option(help="Team mailbox that reads answers.")] = "",
    watch: Annotated[
        Path | None, typer.Option(help="Send what appears in this folder, until Ctrl-C; ends in done/ or refused/.")
    ] = None,
    domain: Annotated[str, typer.Option(help="With --watch, without --to: the patients' domain.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print what became of it.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings of the operator, instead of --host and --ca.")] = None,
) -> None:
    """Send documents as a hospital's software does: IHE_XDM archive, subject and headers are made here."""
    from mss.cli.send import Wish, send_documents

    if not to and watch is None:
        fail("say to whom: --to ADDRESS")
    wish = Wish(
        to, cda or [], pdf or [], sender, cert, key, host, port, ca, reply_to, wait, tuple(dicom or ()), watch, domain
    )
    raise typer.Exit(finish(send_documents(wish, None if config is None else settings(config))))


def load(word: str) -> None:
    """Add the group that is asked for; all of them where help may list them."""
    here = {command.callback.__name__ for command in app.registered_commands if command.callback is not None}
    for name in GROUPS:
        if word == name or word not in (*here, *GROUPS, *SINGLE):
            app.add_typer(import_module(f"mss.cli.{name}").app, name=name)
    for name in SINGLE:
        if word == name or word not in (*here, *GROUPS, *SINGLE):
            app.command(name)(getattr(import_module(f"mss.cli.{name}"), name))


def run() -> None:
    """Entry point of the `mss` script."""
    word = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    load(word)
    if word not in SERVERS:
        from mss.assembly.log import log_to_stderr

        log_to_stderr("error", "command")  # what a command has to say it prints; its output is for scripts too
    app()
