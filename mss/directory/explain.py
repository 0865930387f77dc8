"""Why is this domain trusted, or not? The list's own words, and a text for the other operator's support. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mss.directory.trust import ListFacts, judge_domain
from mss.formats.trustlist import TrustEntry
from mss.model.verdict import Accept

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Us:
    """Who asks: our name, our domains, and the subject of the certificate that we show to operators."""

    host: str
    domains: tuple[str, ...]
    certificate: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one domain."""

    domain: str
    is_trusted: bool
    lines: tuple[str, ...]
    support: tuple[str, ...]
    """Addresses of the other operator's support, as the list has them."""
    letter: str
    """To be pasted into a mail to that support; French, then English."""


def explain(domain: str, listing: ListFacts, us: Us) -> Explanation:
    """Everything that the list says of a domain, and what we make of it."""
    verdict = judge_domain(listing, domain)
    view = listing.view
    entries = () if view is None else view.entries_of(domain)
    is_trusted = isinstance(verdict, Accept)
    why = "yes" if isinstance(verdict, Accept) else f"no: {verdict.reason.value}"
    lines = [f"{domain}: may exchange mail with us now: {why}"]
    if view is None:
        lines.append("there is no trust list: mss trust fetch, and see the journal for why there is none")
    else:
        lines.append(f"the list is of {view.generated_at:%Y-%m-%d %H:%M} UTC, {listing.age_s / HOUR_S:.1f} hours old")
        lines += _entry_lines(entries) or [f"the list does not name {domain}: no parent or sub-domain speaks for it"]
        lines += _our_lines(us, listing)
    support = tuple(dict.fromkeys(entry.support_contact for entry in entries if entry.support_contact))
    return Explanation(domain, is_trusted, tuple(lines), support, _letter(domain, listing, entries, us))


def _entry_lines(entries: Sequence[TrustEntry]) -> list[str]:
    lines = []
    for entry in entries:
        since = f", entry of {entry.updated_at:%Y-%m-%d}" if entry.updated_at else ""
        lines.append(f"served under the certificate {entry.certificate}{since}")
        if entry.description:
            lines.append(f"  {entry.description}")
        if entry.support_contact:
            lines.append(f"  support: {entry.support_contact}")
    return lines


def _our_lines(us: Us, listing: ListFacts) -> list[str]:
    """A peer that refuses us often has good reason: our own entry."""
    assert listing.view is not None
    missing = [
        domain
        for domain in us.domains
        if us.certificate not in {str(one) for one in listing.view.certificates_of(domain)}
    ]
    if not missing:
        return [f"our own certificate {us.certificate} is listed for all our domains"]
    return [f"our own certificate {us.certificate} is NOT listed for {', '.join(missing)}: peers will refuse us there"]


def _letter(domain: str, listing: ListFacts, entries: Sequence[TrustEntry], us: Us) -> str:
    of = f"{listing.view.generated_at:%Y-%m-%dT%H:%M:%SZ}" if listing.view else "-"
    names = "\n".join(f"  {entry.certificate}" for entry in entries) or "  -"
    return f"""\
Bonjour,
nos échanges MSSanté avec le domaine {domain} échouent.
Liste blanche utilisée : {of}. Certificats inscrits pour {domain} :
{names}
Notre relais : {us.host}, certificat {us.certificate}.
Pouvez-vous vérifier le certificat de vos serveurs (émission et réception) et votre copie de la liste blanche ?

Hello,
our MSSanté exchanges with the domain {domain} fail.
Trust list in use: {of}. Certificates listed for {domain}:
{names}
Our relay: {us.host}, certificate {us.certificate}.
Could you check the certificate that your servers present (sending and receiving) and your copy of the list?
"""
