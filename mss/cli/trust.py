"""`mss trust`: what the trust list says, what changed in it, and why a domain is trusted or not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, Finding, JsonOption, fail, finish, settings, tell_findings
from mss.config import Config
from mss.crypto.certs import load_certificates, name_of
from mss.crypto.revocation import RevocationLists
from mss.directory.explain import Us, explain
from mss.directory.feed import Problem, Refresh, TrustFeed
from mss.directory.sources import FileSource
from mss.directory.trust import TrustView, differences
from mss.foundation import kept_list, list_source, operator_certificates, revocation_feed, trust_feed
from mss.model.clock import SystemClock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, parse_domain

app = typer.Typer(no_args_is_help=True, help="The trust list: who may write to us, and to whom we may write.")

CHANGES_SHOWN_MAX = 200
"""On the terminal; --json has them all."""


@app.command()
def fetch(
    accept_shrink: Annotated[
        bool, typer.Option("--accept-shrink", help="Take a list from which many domains are gone: you have looked.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Look for a newer list now, and keep it when it is good. Running processes see it within seconds."""
    finish(_fetch(settings(config), accept_shrink=accept_shrink))


async def _fetch(config: Config, *, accept_shrink: bool) -> None:
    clock = SystemClock()
    revocations = revocation_feed(config, clock, fetches=False, writes=False)
    if revocations is not None:
        await asyncio.to_thread(revocations.refresh)
    feed = trust_feed(
        config,
        clock,
        list_source(config, clock, fetches=True),
        kept_list(config),
        revoked=(lambda: revocations.current) if revocations else RevocationLists,
    )
    result: Refresh = await asyncio.to_thread(feed.refresh, accept_shrink=accept_shrink)
    if result.problem is Problem.NOT_KEPT:
        raise BadValue(f"{kept_list(config).path}: {result.detail}; run this as the server's user, or as root")
    if result.problem is not None:
        raise BadValue(f"no list was taken: {result.problem.value} ({result.detail}); the last good one stays")
    view = _view(feed)
    print(f"{'taken' if result.taken else 'nothing newer'}: list of {view.generated_at:%Y-%m-%d %H:%M} UTC")


@app.command("show")
def show_list(
    changes: Annotated[bool, typer.Option("--changes", help="What came and went since the list before.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell of which moment the list is, whom it names, and what changed."""
    read = settings(config)
    feed = _known(read)
    view, facts = _view(feed), feed.facts
    told: dict[str, Any] = {
        "generated_at": view.generated_at.isoformat(),
        "age_hours": round(facts.age_s / 3600, 1),
        "is_fresh": 0 <= facts.age_s <= facts.age_s_max,
        "domains": len(view),
        "pairs": len(view.pairs()),
        "unreadable_entries": feed.unreadable_entries,
    }
    if changes:
        before = _before(read)
        if before is None:
            fail("there is no list before this one to compare with")
        came, went = differences(before, view)
        told |= {"since": before.generated_at.isoformat(), "came": came, "went": went}
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for name, value in told.items():
        if name not in ("came", "went"):
            print(f"{name.replace('_', ' '):20}{value}")
    for sign, pairs in (("+", told.get("came", [])), ("-", told.get("went", []))):
        for domain, certificate in pairs[:CHANGES_SHOWN_MAX]:
            print(f"{sign} {domain}  {certificate}")
        if len(pairs) > CHANGES_SHOWN_MAX:
            print(f"{sign} … and {len(pairs) - CHANGES_SHOWN_MAX} more: --json tells all")


@app.command("explain")
def explain_domain(
    address: Annotated[str, typer.Argument(help="A mail address or a domain.")],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say whether mail may come from and go to a domain, why, and what to write to its operator."""
    read = settings(config)
    told = explain(_domain_of(address), _known(read).facts, _us(read))
    if as_json:
        print(json.dumps(asdict(told), ensure_ascii=False, indent=1))
    else:
        print("\n".join(told.lines))
        print(f"\n── to paste, to {', '.join(told.support) or 'their support'} ──\n\n{told.letter}")
    if not told.is_trusted:
        raise typer.Exit(1)


@app.command("probe")
def probe_domain(
    domain: Annotated[str, typer.Argument(help="A domain of another operator, or a mail address there.")],
    test_mailbox: Annotated[
        str, typer.Option("--test-mailbox", help="An address there that answers by itself, where the list tells none.")
    ] = "",
    wait: Annotated[int, typer.Option("--wait", min=1, max=600, help="Seconds to wait for its answer.")] = 60,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Speak with another operator's server: route, handshake, certificate, list, size, and whether it knows us.

    Where its test mailbox is known, a mail then goes there by the queue, and its answer is waited for.
    """
    from mss.cli.probe import probe
    from mss.cli.roundtrip import round_trip

    read, of = settings(config), _domain_of(domain)
    to = _address_of(test_mailbox) if test_mailbox else None

    async def look() -> list[Finding]:
        return [*await probe(read, of), *await round_trip(read, of, to, wait_s=wait)]

    tell_findings(finish(look()), as_json=as_json)


def _address_of(text: str) -> MailAddress:
    try:
        return MailAddress.parse(text)
    except BadValue as problem:
        fail(f"{text}: {problem}")


def _domain_of(text: str) -> str:
    try:
        return MailAddress.parse(text).domain if "@" in text else parse_domain(text)
    except BadValue as problem:
        fail(f"{text}: {problem}")


def _us(config: Config) -> Us:
    certificates: dict[str, str] = {}
    for own in operator_certificates(config):
        try:
            shown = load_certificates(own.tls.certificate.read_bytes())[0]
        except (OSError, BadValue, IndexError):
            fail(f"{own.where}.certificate: {own.tls.certificate}: cannot be read")
        certificates |= dict.fromkeys(own.domains, str(name_of(shown.subject)))
    return Us(config.host, certificates)


def _known(config: Config) -> TrustFeed:
    """The list by which the running processes go: a file's present content, or what was kept of an address."""
    try:
        feed = trust_feed(
            config, SystemClock(), list_source(config, SystemClock(), fetches=False), kept_list(config, writes=False)
        )
    except BadValue as problem:
        fail(str(problem))
    feed.refresh()
    return feed


def _view(feed: TrustFeed) -> TrustView:
    if feed.view is None:
        problem = feed.last.problem
        fail(f"there is no good trust list ({problem.value if problem else 'none was taken yet'}): mss trust fetch")
    return feed.view


def _before(config: Config) -> TrustView | None:
    """The list before the one that counts."""
    feed = trust_feed(config, SystemClock(), FileSource(kept_list(config).before), None)
    feed.refresh()
    return feed.view
