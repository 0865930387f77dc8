"""Every fault of the certificate that answers for a domain: nothing is sent there, and the mail waits for a better."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from mss.crypto import tls
from mss.crypto.authority import Authority, Fault, Issued, Subject
from mss.formats.trustlist import TrustEntry
from mss.model.clock import ManualClock, SeededChance
from tests.kit.gate import trust_files
from tests.kit.outgoing import outbox
from tests.kit.people import cellar
from tests.kit.pki import LAB, LAB_DOMAIN, Pki
from tests.kit.smtp_wire import MESSAGE
from tests.kit.strange_peer import strange_peer

ACCEPTED = ""
WRONG = "peer-certificate-wrong "
CLINIC = Subject("smtp.clinique.mssante.example", "1690000002", "CLINIQUE DES ACACIAS")


def _clinic(pki: Pki) -> Issued:
    return pki.authority.issue(CLINIC, now=pki.now)


def _of_an_unknown_part(pki: Pki) -> Issued:
    """By an authority under the root, shown with it: of it no revocation list is known."""
    above = pki._authority_under(pki.authority.root)
    return Authority(pki.authority.root, Issued(*above, chain=(above[0],))).issue(LAB, now=pki.now)


SHOWN: dict[str, tuple[Callable[[Pki], Issued | None], str]] = {
    "right": (lambda pki: pki.lab, ACCEPTED),
    "nothing": (lambda _pki: None, WRONG + "no-starttls"),
    "expired": (lambda pki: pki.show(Fault.EXPIRED), WRONG + "verify-10"),
    "future": (lambda pki: pki.show(Fault.NOT_YET_VALID), WRONG + "verify-9"),
    "mail": (lambda pki: pki.show(Fault.WRONG_USE), WRONG + "verify-26"),
    "client": (
        lambda pki: pki.authority.issue_client(LAB, now=pki.now, mail="robot@labo.mssante.example"),
        WRONG + "verify-26",
    ),
    "self": (lambda pki: pki.show(Fault.SELF_SIGNED), WRONG + "verify-18"),
    "other": (lambda pki: pki.show(Fault.OTHER_AUTHORITY), WRONG + "verify-20"),
    "chainless": (Pki.without_its_chain, WRONG + "verify-20"),
    "long": (Pki.too_long_a_chain, WRONG + "verify-25"),
    "bounds": (Pki.out_of_bounds, WRONG + "verify-47"),
    "sha1": (Pki.weak_signature, WRONG + "verify-68"),
    "weak": (lambda pki: pki.show(Fault.WEAK_KEY), WRONG + "key-too-small"),
    "revoked": (lambda pki: pki.revoked_lab, WRONG + "revoked"),
    "unknown": (_of_an_unknown_part, "revocation-unknown"),
    "clinic": (_clinic, WRONG + "not-listed-for-domain"),
}
"""Under the name of its domain, `NAME.mssante.example`, which the list gives to the laboratory's certificate."""


def _answers(issued: Issued | None) -> ssl.SSLContext | None:
    """A server that does not mind its own weakness."""
    if issued is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tls._as_file(issued.certificate_pem) as certificate, tls._as_file(issued.key_pem) as key:
        context.load_cert_chain(certificate, key)
    return context


async def test_only_the_right_certificate_of_the_domain_gets_its_mail(
    pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> None:
    """Each domain with a server of its own, all at once; the clinic's own shows that its certificate is a good one."""
    domains = {name: f"{name}.mssante.example" for name in (*SHOWN, "theirs")}
    shown = {name: make(pki) for name, (make, _) in SHOWN.items()}
    shown["theirs"] = shown["clinic"]
    entries = [TrustEntry(domain, pki.lab.subject) for name, domain in domains.items() if name != "theirs"]
    clinic = shown["clinic"]
    assert clinic is not None
    files = trust_files(
        pki,
        tmp_path,
        entries=[*entries, TrustEntry(LAB_DOMAIN, pki.lab.subject), TrustEntry(domains["theirs"], clinic.subject)],
        revoked=[pki.revoked_lab.certificate],
    )
    async with AsyncExitStack() as stack:
        below = await stack.enter_async_context(cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance))
        out = await stack.enter_async_context(outbox(below, pki, gate=files.gate))
        peers = {name: await stack.enter_async_context(strange_peer(_answers(one))) for name, one in shown.items()}
        for name, peer in peers.items():
            out.routes[domains[name]] = ("127.0.0.1", peer.port)
            await out.put(MESSAGE, f"bio@{domains[name]}")
        rows = await out.until_rows(
            lambda rows: len(rows) == len(SHOWN) - 1 and all(row.attempts and row.last_reason for row in rows)
        )
        why = {row.next_hop: row.last_reason for row in rows}
        assert why == {domains[name]: said for name, (_, said) in SHOWN.items() if said != ACCEPTED}
        for name, peer in peers.items():
            is_right = name in ("right", "theirs")
            assert len(peer.messages) == is_right, name
            assert bool(peer.count("MAIL")) == is_right, name
        assert out.notes.failures == []


async def test_a_connection_is_used_again_only_for_a_domain_that_its_certificate_is_for(
    pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> None:
    """One operator, two domains behind one host, mail for both at once: each is judged before it goes. When the list
    takes one of them away, mail with that one in it stops, also where a connection is open, and the other's goes on."""
    both, other = [TrustEntry(LAB_DOMAIN, pki.lab.subject)], "annexe.mssante.example"
    both.append(TrustEntry(other, pki.lab.subject))
    files = trust_files(pki, tmp_path, entries=both)
    async with (
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below,
        outbox(below, pki, gate=files.gate) as out,
        strange_peer(_answers(pki.lab)) as peer,
    ):
        out.routes[LAB_DOMAIN] = out.routes[other] = ("127.0.0.1", peer.port)
        two = (f"bio@{LAB_DOMAIN}", f"bio@{other}")
        await out.put(MESSAGE, *two, hop=LAB_DOMAIN)
        await out.until_empty()
        assert len(peer.messages) == 1
        files.clock.forward(1)
        files.list([both[0], TrustEntry(other, _clinic(pki).subject)])
        await out.put(MESSAGE, *two, hop=LAB_DOMAIN)
        (row,) = await out.until_put_off()
        assert row.last_reason == WRONG + "not-listed-for-domain"
        assert len(peer.messages) == 1, "no mail of two goes where one may not"
        out.later(5)  # the host was left in peace for a moment
        await out.put(MESSAGE, two[0])
        await out.until_rows(lambda rows: len(rows) == 1)
        assert len(peer.messages) == 2
