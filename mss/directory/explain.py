"""Why is this domain trusted, or not? The list's own words, and a text for the other operator's support. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mss.directory.trust import ListFacts, judge_domain
from mss.formats.trustlist import TrustEntry
from mss.model.verdict import Accept

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Us:
    """Who asks: our name, and for each of our domains the subject of the certificate that we show to operators."""

    host: str
    certificates: Mapping[str, str]


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
    lines = []
    for shown in dict.fromkeys(us.certificates.values()):
        ours = [domain for domain, certificate in us.certificates.items() if certificate == shown]
        missing = [domain for domain in ours if shown not in map(str, listing.view.certificates_of(domain))]
        is_not = f"is NOT listed for {', '.join(missing)}: peers will refuse us there"
        whole = "all our domains" if len(ours) == len(us.certificates) else ", ".join(ours)
        lines.append(f"our own certificate {shown} {is_not if missing else f'is listed for {whole}'}")
    return lines


def _letter(domain: str, listing: ListFacts, entries: Sequence[TrustEntry], us: Us) -> str:
    of = f"{listing.view.generated_at:%Y-%m-%dT%H:%M:%SZ}" if listing.view else "-"
    shown = "; ".join(dict.fromkeys(us.certificates.values()))
    names = "\n".join(f"  {entry.certificate}" for entry in entries) or "  -"
    return f"""\
Bonjour,
nos échanges MSSanté avec le domaine {domain} échouent.
Liste blanche utilisée : {of}. Certificats inscrits pour {domain} :
{names}
Notre relais : {us.host}, certificat {shown}.
Pouvez-vous vérifier le certificat de vos serveurs (émission et réception) et votre copie de la liste blanche ?

Hello,
our MSSanté exchanges with the domain {domain} fail.
Trust list in use: {of}. Certificates listed for {domain}:
{names}
Our relay: {us.host}, certificate {shown}.
Could you check the certificate that your servers present (sending and receiving) and your copy of the list?
"""
