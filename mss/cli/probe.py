"""`mss trust probe`: one conversation with another operator's server, each step told, each red line with what to do.

Nothing is sent here: after MAIL FROM, which shows whether the other side knows our certificate, everything is taken
back. Whether mail comes and goes is for `cli/roundtrip.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mss.cli.common import Finding
from mss.config import Config
from mss.crypto.certs import load_der, read
from mss.crypto.tls import relay_client_context
from mss.foundation import OperatorCertificate, operator_certificates, routes_of, trust_gate
from mss.mail.peers import TrustGate
from mss.model.clock import SystemChance, SystemClock
from mss.model.ids import MailAddress
from mss.model.verdict import Accept
from mss.smtp.link import Link, LinkFailed, Patience
from mss.smtp.routes import Host, NoRoute, Signposts

PROBE_S = 20.0
"""For each host: somebody waits at a terminal."""
LARGEST_MAIL_OCTETS = 35 * 1024 * 1024
"""What we take ourselves (contract); a peer that takes less is told to our people when they send."""
EXPIRES_SOON = timedelta(days=30)


async def probe(config: Config, domain: str) -> list[Finding]:
    """Look at everything that mail to and from a domain needs, as far as this side can see it. Raises BadValue."""
    gate = trust_gate(config, SystemClock(), tells=False)
    verdict = gate.domain(domain)
    if isinstance(verdict, Accept):
        findings = [Finding(True, f"the trust list names {domain}")]
    else:
        advice = f"mss trust explain {domain} tells what the list says"
        findings = [Finding(False, f"the trust list: {verdict.reason.value}", advice)]
    try:
        hosts = await Signposts(routes_of(config.relay), SystemChance()).hosts(domain)
    except NoRoute as problem:
        return [*findings, Finding(False, f"no host takes mail for {domain}: {problem}", "see its MX, or relay.routes")]
    for host in hosts:
        for own in operator_certificates(config):
            if own.domains:
                findings += await _host(config, own, gate, domain, host)
    return list(dict.fromkeys(findings))  # what is so under each certificate of ours is told once


async def _host(config: Config, own: OperatorCertificate, gate: TrustGate, domain: str, host: Host) -> list[Finding]:
    """Under one certificate of ours, in the name of the first domain that it is for."""
    context = relay_client_context(own.tls.certificate, own.tls.key, config.relay.authorities)
    try:
        link = await Link.open(host, config.host, lambda: context, Patience(open_s=PROBE_S, command_s=PROBE_S))
    except LinkFailed as problem:
        return [Finding(False, f"{host}: {problem.setback.told}", advice_for(problem.setback.told))]
    try:
        findings = [Finding(True, f"{host}: answers with STARTTLS and took our handshake")]
        await gate.inquire(link.certificate_der)
        findings += _certificate(gate, domain, host, link.certificate_der)
        findings += _room(host, link.room)
        findings.append(await _mail_from(host, link, MailAddress("postmaster", own.domains[0])))
    except LinkFailed as problem:
        findings.append(Finding(False, f"{host}: {problem.setback.told}", advice_for(problem.setback.told)))
    finally:
        await link.close()
    return findings


def _certificate(gate: TrustGate, domain: str, host: Host, der: bytes) -> Iterator[Finding]:
    shown = read(load_der(der))
    named = f"{host}: shows {shown.subject}, serial {shown.serial_hex}, until {shown.not_after:%Y-%m-%d}"
    verdict = gate.server(domain, der)
    if isinstance(verdict, Accept):
        yield Finding(True, named)
    else:
        why = f"{verdict.reason.value} {verdict.detail}".strip()
        yield Finding(
            False, f"{named}: {why}", f"nothing is sent there; mss trust explain {domain} has a letter to them"
        )
    if shown.not_after - SystemClock().now() < EXPIRES_SOON:
        yield Finding(False, f"{host}: its certificate ends on {shown.not_after:%Y-%m-%d}", "remind that operator")


def _room(host: Host, octets: int) -> Iterator[Finding]:
    if octets and octets < LARGEST_MAIL_OCTETS:
        yield Finding(True, f"{host}: takes messages of at most {octets // 1024} KiB")


async def _mail_from(host: Host, link: Link, sender: MailAddress) -> Finding:
    words = await link.would_take_from(sender)
    if words.is_yes:
        return Finding(True, f"{host}: takes mail from {sender.domain} under our certificate")
    return Finding(
        False,
        f"{host}: refuses mail from {sender.domain}: {words.code} {words.text}",
        "see our own entry (mss trust explain with one of our domains), then ask that operator how old its list is",
    )


def advice_for(told: str) -> str:
    """What to do about one of the courier's own reasons."""
    for word, advice in _ADVICE.items():
        if word in told:
            return advice
    return "ask that operator"


_ADVICE = {
    "our-certificate-refused certificate-expired": "our certificate is over: renew it (mss check)",
    "our-certificate-refused certificate-revoked": "our certificate was taken back: ask its authority why, renew it",
    "our-certificate-refused unknown-ca": "it does not know who issued our certificate: is it of the health PKI, with"
    " the authority above it in its file (relay.tls.certificate)? else its own list of authorities is incomplete",
    "our-certificate-refused certificate-required": "it saw no certificate of ours: see relay.tls.certificate",
    "our-certificate-refused": "it refuses our certificate: is it current, for clients as well as for servers, and of"
    " the health PKI? mss check tells; else ask that operator what its log says",
    "hung-up-after-handshake": "it closed the connection at our first word: it may refuse our certificate without"
    " saying so; mss check, then ask that operator what its log says",
    "no-starttls": "it offers no encryption: nothing is sent there; tell that operator",
    "verify-": "its certificate's chain, dates or purpose are wrong: nothing is sent there; tell that operator",
    "no-certificate": "it showed no certificate: tell that operator",
    "timeout": "it does not answer in time: a firewall on the way, or its trouble",
    "no-connection": "nobody answers there: see the route or MX, a firewall on the way, then ask that operator",
}
"""By words of the courier's own reasons (mss/smtp/link.py); the first that fits."""
