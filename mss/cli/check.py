"""`mss check`, the doctor: what an operator needs to run, each thing looked at, each red line with what to do.

Changes nothing, and asks nobody but clamd, the health PKI's responder and the hospitals' software, where they are
configured; other operators' servers are asked by `mss trust probe`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta

from mss.assembly.mailservers import mail_servers
from mss.cli.checkantivirus import look_at_antivirus
from mss.cli.checkretention import look_at_retention
from mss.cli.checktrust import look_at_trust
from mss.cli.common import Finding, store_exists
from mss.cli.sink import look as sinks_answer
from mss.config import Config
from mss.crypto.certs import load_certificates, name_of
from mss.crypto.keys import load_private
from mss.crypto.tls import service_server_context
from mss.formats.discovery import srv_records
from mss.foundation import certificates
from mss.model.clock import Chance, Clock
from mss.model.errors import BadValue, MssError
from mss.sections import Tls
from mss.smtp.routes import srv_of
from mss.store import create

EXPIRES_SOON = timedelta(days=30)
FREE_BYTES_MIN = 2 * 1024 * 1024 * 1024
"""Sixty of the largest messages at once: below that a busy hour fills the disk."""
OTHERS_MAY_READ = 0o077


async def look(config: Config, clock: Clock, chance: Chance) -> list[Finding]:
    """Everything, in the order in which it is mended."""
    found = [Finding(True, f"settings of {config.name}")]
    found += _keys(config, chance)
    found += _room(config)
    found += [await _tables(config)]
    for where, tls in certificates(config):
        found += _certificate(where, tls, clock.now())
    found += await look_at_trust(config, clock)
    found += await look_at_antivirus(config)
    found += await sinks_answer(config)
    found += await look_at_retention(config)
    found += await look_at_records(config)
    return found


def _keys(config: Config, chance: Chance) -> Iterator[Finding]:
    try:
        load_private(config.keys_dir, chance)
    except BadValue as problem:
        yield Finding(False, f"keys: {problem}", "mss db upgrade makes them for a new operator; else restore them")
        return
    open_ones = [path for path in sorted(config.keys_dir.iterdir()) if path.stat().st_mode & OTHERS_MAY_READ]
    if open_ones:
        names = ", ".join(path.name for path in open_ones)
        yield Finding(False, f"keys: others may read {names}", f"chmod 600 in {config.keys_dir}")
    else:
        yield Finding(True, f"keys: whole, readable by this user only ({config.keys_dir})")


def _room(config: Config) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(config.state_dir).free
    except OSError as problem:
        yield Finding(False, f"state: {config.state_dir}: {problem.strerror}", "mss db upgrade")
        return
    gib = f"{free / 1024**3:.1f} GiB free for {config.state_dir}"
    yield Finding(
        free >= FREE_BYTES_MIN, gib, "" if free >= FREE_BYTES_MIN else "make room: intake stops when it is full"
    )


async def _tables(config: Config) -> Finding:
    if not store_exists(config):
        return Finding(False, "database: there are no tables yet", "mss db upgrade")
    try:
        current, newest = await create.versions(config.url)
    except MssError as problem:
        return Finding(False, f"database: does not answer ({problem})", "see database_url and the database's own log")
    if current == newest:
        return Finding(True, f"database: tables are of version {current}")
    return Finding(False, f"database: version {current or 'none'}, wanted {newest}", "stop, back up, mss db upgrade")


def _certificate(where: str, tls: Tls, now: datetime) -> Iterator[Finding]:
    """Whether it can be read, and until when it counts."""
    try:
        own = load_certificates(tls.certificate.read_bytes())[0]
        tls.key.read_bytes()
    except OSError as problem:
        yield Finding(False, f"{where}: {problem.filename}: {problem.strerror}", "put the file there, or mend the path")
        return
    except (BadValue, IndexError):
        yield Finding(False, f"{where}: {tls.certificate}: no certificate", "a PEM file: certificate, then its chain")
        return
    try:
        service_server_context(tls.certificate, tls.key)
    except BadValue as problem:
        yield Finding(False, f"{where}: {problem}", f"{tls.key} must be the key of {tls.certificate}, readable by us")
        return
    ends, left = own.not_valid_after_utc, own.not_valid_after_utc - now
    if left < EXPIRES_SOON:
        when = "has ended" if left < timedelta() else f"ends in {left.days} days"
        yield Finding(False, f"{where}: {name_of(own.subject)} {when}", "renew it, then SIGHUP to the supervisor")
    else:
        yield Finding(True, f"{where}: {name_of(own.subject)}, until {ends:%Y-%m-%d}")


def records(config: Config) -> list[str]:
    """DNS records for mail clients that look for their server by themselves."""
    lines = [f"{name} SRV {value}" for name, value in srv_records(mail_servers(config))]
    if config.web is not None and config.web.https is not None:
        for domain in mail_servers(config).domains:
            lines.append(f"autoconfig.{domain}. CNAME {config.host}.")
            lines.append(f"_autodiscover._tcp.{domain}. SRV 0 1 {config.web.https.port} {config.host}.")
    return lines


async def look_at_records(config: Config) -> list[Finding]:
    """Whether the DNS says so. Red is what it says wrongly: who has no such records makes people type, no more."""
    found = []
    for name, value in srv_records(mail_servers(config)):
        if value.endswith(" ."):
            continue
        there = await srv_of(name)
        if there is None:
            return [Finding(True, "DNS: no resolver answers, its records were not compared")]
        if not there:
            found.append(Finding(True, f"DNS: {name} SRV is not there; it would be {value}"))
            continue
        told = value in there
        says = ", ".join(sorted(there))
        found.append(Finding(told, f"DNS: {name} SRV is {says}", "" if told else f"it should be {value}"))
    return found
