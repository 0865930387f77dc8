"""The edge: relay in and submission. Public keys only: what it takes in, it cannot read again.

Loads no page and no parser; strangers reach this process.
"""

from __future__ import annotations

import sys

from mss.accounts.knocks import Knocks
from mss.accounts.shown import Shown, still_opens
from mss.accounts.software import SoftwareLogin
from mss.assembly.process import Process, files_of
from mss.crypto.tls import RefusedPeer, relay_server_context
from mss.foundation import Foundation, shown_certificates
from mss.mail.counting import REFUSED, CountedJudge, CountedReception, Tally
from mss.mail.intake import Intake
from mss.mail.reception import Peer
from mss.mail.sentcopies import SentCopies
from mss.mail.submit import Submission
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.sections import AccountCaps, Listen, PeerCaps
from mss.smtp import journal
from mss.smtp.limits import Limits
from mss.smtp.meters import Caps, Meter
from mss.smtp.server import RelayServer
from mss.smtp.space import DiskSpace
from mss.smtp.submission import EXTERNAL, Attempt, Authenticate, StillOpens, SubmissionServer
from mss.store.spool import SpoolRoom

SWITCH_S = 0.0005
"""How long a thread that looks at a large message keeps the interpreter from those who wait. Python's own 5 ms are due
again after each look-up and each send of a small one: ten look-ups beside such a thread took 40 ms now and then."""


async def build(process: Process) -> None:
    """Open the doors of this process's roles."""
    sys.setswitchinterval(SWITCH_S)
    spools = SpoolRoom(process.config.state_dir / "spool", process.ground.chance)
    if "relay-in" in process.roles and process.config.relay.listen is not None:
        await _relay_in(process, process.config.relay.listen, spools)
    if "submission" in process.roles and process.config.submission is not None:
        await _submission(process, spools)


async def _relay_in(process: Process, listen: Listen, spools: SpoolRoom) -> None:
    ground, relay = process.ground, process.config.relay
    gate = process.gate()
    tally = Tally(ground.store, ground.clock)
    process.keep(tally.keep_writing())

    def refused(peer: RefusedPeer) -> None:
        journal.handshake_refused(peer)
        known = peer.certificate
        tally.turned_away(REFUSED, str(known.subject) if known else "", f"tls {peer.reason}")

    tls, more = relay.tls, [(one.certificate, one.key) for one in relay.more_tls]
    holder = process.tls(
        lambda: relay_server_context(tls.certificate, tls.key, relay.authorities, on_refused=refused, more=more),
        [*files_of(tls, *relay.more_tls), relay.authorities],
    )
    intake = Intake(
        ground.house,
        gate,
        ground.recipients,
        ground.delivery,
        ground.chance,
        ground.screening,
        ground.vigil,
        ground.test_mailbox,
    )
    server = RelayServer(
        hostname=process.config.host,
        tls=lambda: holder.current,
        judge=CountedJudge(gate, tally),
        reception=CountedReception(intake, tally),
        clock=ground.clock,
        limits=Limits(
            connections_per_address_max=relay.connections_per_peer_max,
            connections_per_party_max=relay.connections_per_peer_max,
        ),
        meter=_meter(process, relay.caps),
        has_disk_space=_disk(process).has_room,
        postmaster=ground.house.postmaster,
        spools=spools,
    )
    await server.start(listen.host, listen.port)
    process.stack.push_async_callback(server.stop)


async def _submission(process: Process, spools: SpoolRoom) -> None:
    ground, section = process.ground, process.config.submission
    assert section is not None
    gate = process.gate()
    tally = Tally(ground.store, ground.clock)
    process.keep(tally.keep_writing())
    submission = Submission(
        ground.house,
        ground.recipients,
        ground.dispatch,
        ground.public.lookup,
        gate.is_trusted,
        ground.clock,
        ground.chance,
        ground.screening,
        ground.test_mailbox,
        SentCopies(ground.store, ground.delivery, ground.public.lookup, ground.clock),
    )
    holder = process.service_tls(section.tls, section.more_tls, section.client_authorities)
    shown = shown_certificates(process.config, ground.clock, lambda: gate.lists)
    authenticate = _mail_login(ground, shown)  # one for both ports: they count failures together
    meter, disk = _meter(process, section.caps), _disk(process)
    for listen, is_implicit in ((section.starttls, False), (section.implicit_tls, True)):
        if listen is None:
            continue
        server = SubmissionServer(
            hostname=process.config.host,
            tls=lambda: holder.current,
            authenticate=authenticate,
            still_opens=_still_opens(ground, shown),
            reception=CountedReception(submission, tally),
            clock=ground.clock,
            limits=Limits(connections_per_address_max=section.connections_per_address_max),
            meter=meter,
            has_disk_space=disk.has_room,
            postmaster=ground.house.postmaster,
            is_tls_from_start=is_implicit,
            spools=spools,
        )
        await server.start(listen.host, listen.port)
        ground.bus.on_account(server.look_again)
        process.keep(server.keep_looking())
        process.stack.push_async_callback(server.stop)


def _meter(process: Process, caps: PeerCaps | AccountCaps) -> Meter:
    """Who has sent how much lately, at the ports of one kind of door."""
    mb = 1_000_000
    allowed = Caps(
        messages_per_minute=caps.messages_per_minute_max,
        recipients_per_minute=caps.recipients_per_minute_max,
        octets_per_minute=caps.mb_per_minute_max * mb,
        octets_per_hour=caps.mb_per_hour_max * mb,
    )
    return Meter(allowed, process.ground.clock)


def _disk(process: Process) -> DiskSpace:
    """Where what arrives is written: bodies, and the database when it is a file of ours."""
    return DiskSpace([process.config.state_dir], Limits().message_octets_max, process.ground.clock)


def _mail_login(ground: Foundation, shown: Shown) -> Authenticate:
    """How a login of the submission door becomes a peer."""

    login = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
    knocks = Knocks(ground.clock)

    async def authenticate(attempt: Attempt) -> Peer | None:
        knock = await knocks.wait(attempt.username, attempt.remote_address)
        peer = await look(attempt)
        if peer is None:
            await knocks.was_wrong(knock)
        else:
            knocks.was_right(knock)
        return peer

    async def look(attempt: Attempt) -> Peer | None:
        address, certificate = None, b""
        if attempt.mechanism == EXTERNAL:
            if attempt.certificate_der is None:
                return None
            try:
                name = await shown(attempt.certificate_der)
            except BadValue:
                return None
            owner = await login.certificate(name)
            proof = b"" if owner is None else login.proof_of_certificate(name)
            certificate = attempt.certificate_der
        else:
            owner = await login.application_password(attempt.username, attempt.secret)
            proof = login.proof_of_password(attempt.secret)
            address = None if owner is None else MailAddress.parse(attempt.username.strip())
        if owner is None:
            return None
        # From where it comes, the door knows.
        return Peer(f"login:{owner}", account=owner, proof=proof, address=address, certificate_der=certificate)

    return authenticate


def _still_opens(ground: Foundation, shown: Shown) -> StillOpens:
    """Whether a login of the submission door may go on."""

    login = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)

    async def goes_on(peer: Peer) -> bool:
        if peer.account is None or not await still_opens(shown, peer.certificate_der):
            return False
        return await login.still_opens(peer.account, peer.proof)

    return goes_on
