"""Would other operators take us, by the list and by what is known of our certificate? The doctor's second half."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from mss.cli.common import Finding
from mss.config import Config
from mss.crypto.certs import Purpose, der_of, load_certificates, name_of, responder_of
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import RevocationLists
from mss.directory.trust import TrustView
from mss.formats.dn import DistinguishedName
from mss.foundation import health_authorities, kept_list, list_source, operator_certificates, trust_feed, trust_gate
from mss.mail.peers import TrustGate
from mss.model.clock import Clock
from mss.model.errors import BadValue


async def look_at_trust(config: Config, clock: Clock) -> list[Finding]:
    """The list, and what it says of us."""
    try:
        feed = trust_feed(config, clock, list_source(config, clock, fetches=False), kept_list(config, writes=False))
        feed.refresh()
    except BadValue as problem:
        return [Finding(False, str(problem), "the health PKI's roots and intermediates, PEM or PKCS#7")]
    if feed.view is None:
        why = feed.last.problem.value if feed.last.problem else "none was taken yet"
        missing = Finding(False, f"trust list: there is no good one ({why}) {feed.last.detail}", "mss trust fetch")
        return [missing, *_strange_files(config), *await _ourselves(config, clock, None)]
    hours = feed.facts.age_s / 3600
    told = f"trust list: of {feed.view.generated_at:%Y-%m-%d %H:%M} UTC, {len(feed.view)} domains"
    if feed.wants_attention:
        last = f", the last look: {feed.last.problem.value}" if feed.last.problem else ""
        advice = "mss trust fetch; is this machine's clock right?"
        found = [Finding(False, f"{told}, {hours:.0f} hours old{last}", advice)]
    else:
        found = [Finding(True, told)]
    return [*found, *_strange_files(config), *await _ourselves(config, clock, feed.view)]


def _strange_files(config: Config) -> Iterator[Finding]:
    """Lists that a command of another user has left, which the server cannot replace."""
    owner = config.state_dir.stat().st_uid if config.state_dir.exists() else None
    place = kept_list(config).path.parent
    there = [place, *sorted(place.iterdir())] if place.is_dir() else []
    if strange := [path.name for path in there if path.stat().st_uid != owner]:
        advice = f"chown -R --reference={config.state_dir} {place}"
        yield Finding(False, f"trust list: not the server's own files: {', '.join(strange)}", advice)


async def _ourselves(config: Config, clock: Clock, view: TrustView | None) -> list[Finding]:
    """Other operators judge us as we judge them: are our certificates sound, not taken back, listed for our domains?"""
    gate = trust_gate(config, clock, tells=False)
    found = list(_revocation_lists(config, gate.lists, clock.now()))
    for own in operator_certificates(config):
        try:
            certificate = load_certificates(own.tls.certificate.read_bytes())[0]
        except (OSError, BadValue, IndexError):
            continue  # told above
        what = "our certificate" if not config.relay.more_tls else f"our certificate {own.where}"
        if view is not None:
            found.append(_listed(what, name_of(certificate.subject), own.domains, view))
        await gate.inquire(der_of(certificate))
        found += _responder(what, config, gate, config.relay.ocsp_responder or responder_of(certificate))
        found.append(_our_state(what, config, clock, certificate, gate))
    return found


def _listed(what: str, subject: DistinguishedName, domains: tuple[str, ...], view: TrustView) -> Finding:
    missing = [domain for domain in domains if subject not in view.certificates_of(domain)]
    if missing:
        advice = "have the entry added to the trust list; until then peers refuse what we send from there"
        return Finding(False, f"{what} is not listed for {', '.join(missing)}", advice)
    return Finding(True, f"{what} is listed for {'all our domains' if domains else 'none of our domains: unused'}")


def _revocation_lists(config: Config, lists: RevocationLists | None, now: datetime) -> Iterator[Finding]:
    """For how long they count."""
    if lists is None:
        if not config.relay.ocsp:
            advice = "set relay.revocation_urls, or a revoked peer is let in"
            yield Finding(False, "revocation lists: nobody asks", advice)
        return
    for number, listing in enumerate(lists.lists, 1):
        is_over = listing.next_update <= now
        what = f"revocation list {number}: counts until {listing.next_update:%Y-%m-%d %H:%M} UTC"
        yield Finding(not is_over, what, "a newer one is needed: peers are told 454" if is_over else "")
    if not lists.lists:
        yield Finding(False, "revocation lists: none that can be read", "see their files or addresses: peers get 454")


def _responder(what: str, config: Config, gate: TrustGate, asked: str) -> Iterator[Finding]:
    """What became of the question about our own certificate."""
    if not config.relay.ocsp:
        return
    advice = "until it answers the lists decide, and without them peers are told 454; is http to it open?"
    for url, why in gate.trouble_with_responders.items():
        yield Finding(False, f"responder {url}: {why}", advice)
    if not asked:
        advice = "set relay.ocsp_responder, or ocsp = false and let the lists decide"
        yield Finding(False, f"responder: {what} names none that is asked by http", advice)
    elif not gate.trouble_with_responders:
        yield Finding(True, f"responder {asked}: answers about {what}")


def _our_state(what: str, config: Config, clock: Clock, own: x509.Certificate, gate: TrustGate) -> Finding:
    shown = Examiner(health_authorities(config)).examine(
        der_of(own), purpose=Purpose.CLIENT, now=clock.now(), revocations=gate.revocations
    )
    if not shown.weaknesses:
        return Finding(True, f"{what} would be taken by a peer with our rules")
    why = ", ".join(sorted(shown.weaknesses))
    return Finding(False, f"a peer with our rules would refuse {what}: {why}", "renew it, or mend the lists")
