"""Does mail come and go? A mail to the other operator's test mailbox, by the queue like any other, and its answer.

Every operator keeps a mailbox that answers by itself; the trust list tells of some. Our mail leaves in the name of our
own, to which the answer comes: there it is written down, as every step before it, and here it is read. Nobody's mailbox
changes, and nothing of the mail is kept.
"""

from __future__ import annotations

import asyncio
import quopri
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mss.cli.common import Finding, open_house
from mss.cli.probe import advice_for
from mss.config import Config
from mss.foundation import Foundation, trust_gate
from mss.mail import letters
from mss.mail.peers import TrustGate
from mss.mail.queue import OutgoingEnvelope, PreparedMail
from mss.mail.recipients import NOBODY
from mss.mail.testmailbox import ANSWER_ACT, TRIAL_PREFIX
from mss.model.clock import SystemClock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, lane_of
from mss.model.message import DsnWish, Notify, RecipientWish
from mss.model.verdict import Accept
from mss.store import audit, changes, messages, schema, tasks
from mss.store.audit import AuditRow
from mss.store.sql import Connection

LOOK_EVERY_S = 0.25
"""Into the audit: a mail takes a second or two."""
SUBJECT = "Test d'interconnexion"
TEXT = (
    "Bonjour,\n\nCe message de test est adress\u00e9 \u00e0 votre r\u00e9ponse automatique.\n\n"
    "This is a test message to your automatic reply mailbox.\n"
)
ACTOR = "staff:command"
_ANSWERS_BY_ITSELF = re.compile(r"r[e\u00e9]ponse[._-]?automatique|auto[._-]?(?:reply|reponse|answer)", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+[A-Za-z0-9]")


def told_mailbox(gate: TrustGate, domain: str) -> MailAddress | None:
    """The test mailbox that the list's description of a domain names, if any (as that of patients' domain does)."""
    view = gate.view
    for entry in () if view is None else view.entries_of(domain):
        for found in _ADDRESS.findall(entry.description):
            with suppress(BadValue):
                address = MailAddress.parse(found.rstrip("."))
                if address.domain == domain and _ANSWERS_BY_ITSELF.search(address.local):
                    return address
    return None


async def round_trip(config: Config, domain: str, to: MailAddress | None, *, wait_s: float) -> list[Finding]:
    """Send a mail to `to`, or to the test mailbox that the list tells of; wait so long for its answer."""
    gate = trust_gate(config, SystemClock(), tells=False)
    to = to or told_mailbox(gate, domain)
    if to is None:
        hint = "name one with --test-mailbox ADDRESS to try the whole way"
        return [Finding(True, f"round trip: not tried, the list tells of no test mailbox of {domain}", hint)]
    if not isinstance(gate.domain(to.domain), Accept):
        return [Finding(False, f"round trip: not tried, {to.domain} is not trusted now", "see above")]
    if not config.relay.test_mailbox:
        advice = "set relay.test_mailbox: an address of ours, of no mailbox, to which its answer can come"
        return [Finding(False, "round trip: not tried, we have no test mailbox of our own", advice)]
    async with open_house(config) as ground:
        trial = await Trial.send(ground, MailAddress.parse(config.relay.test_mailbox), to)
        try:
            rows = await trial.wait(wait_s)
        finally:
            await trial.take_back()
    names = {str(name) for name in gate.view.certificates_of(to.domain)} if gate.view else set()
    return list(_told(trial, rows, names, wait_s))


@dataclass(frozen=True, slots=True)
class Trial:
    """One mail on its way."""

    ground: Foundation
    to: MailAddress
    mail: PreparedMail

    @classmethod
    async def send(cls, ground: Foundation, sender: MailAddress, to: MailAddress) -> Trial:
        """Put it into the queue. No report is wished: what becomes of it is read from the audit."""
        message_id = f"{TRIAL_PREFIX}{ground.chance.token(16).hex()}@{sender.domain}>"
        opening = letters.Opening("Test MSSant\u00e9", sender, to, SUBJECT, ground.clock.now(), message_id)
        body = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        body += b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _quoted(TEXT)
        wish = DsnWish(recipients={to.key: RecipientWish(frozenset({Notify.NEVER}), "")})
        envelope = OutgoingEnvelope(sender, (to,), message_id, wish)
        raw = ground.house.nil_field + opening.to_bytes() + body
        mail = await ground.putter.prepare(NOBODY, to.domain, envelope, raw)
        row = mail.mail
        act = audit.Act(ground.clock.now(), ACTOR, "mail.queued", NOBODY, row.id, row.message_id_hmac, to.domain)

        def put(connection: Connection) -> None:
            mail.put(connection)
            audit.write(connection, [act])

        await ground.store.write(lane_of(NOBODY), put)
        ground.bus.publish(changes.TASK)
        return cls(ground, to, mail)

    async def wait(self, wait_s: float) -> Sequence[AuditRow]:
        """What became of it until it was answered or failed, or the time is over."""
        rows: Sequence[AuditRow] = ()
        read = partial(audit.by_message_id, message_id_hmac=self.mail.mail.message_id_hmac)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not any(row.act.act in (ANSWER_ACT, "mail.failed") for row in rows):
                    await asyncio.sleep(LOOK_EVERY_S)
                    rows = await self.ground.store.read(read)
        return rows

    async def take_back(self) -> None:
        """A test that is over needs no four days of attempts."""

        def take_out(connection: Connection) -> None:
            row = self.mail.mail
            if tasks.finish(connection, schema.queue, NOBODY, [row.id]):
                messages.delete_blob(connection, NOBODY, row.blob)
                act = audit.Act(
                    self.ground.clock.now(), ACTOR, "queue.drop", NOBODY, row.id, row.message_id_hmac, "test over"
                )
                audit.write(connection, [act])

        await self.ground.store.write(lane_of(NOBODY), take_out)


def _told(trial: Trial, rows: Sequence[AuditRow], names: set[str], wait_s: float) -> Sequence[Finding]:
    """How far it came, and what to do where it stopped."""
    acts = {row.act.act: row.act for row in rows}
    queued, relayed, answer = (acts.get(name) for name in ("mail.queued", "mail.relayed", ANSWER_ACT))
    if queued is None or relayed is None:
        return [_stopped_here(trial, acts, wait_s)]
    took_s = (relayed.at - queued.at).total_seconds()
    way = Finding(True, f"round trip: {relayed.result} took a mail to {trial.to} after {took_s:.1f} s")
    if answer is None:
        advice = (
            "does that address answer by itself, naming our mail in In-Reply-To? Is their answer refused at our door"
            " (journal smtp.refused, smtp.handshake-refused)? Ask that operator what its queue says of it"
        )
        return [way, Finding(False, f"round trip: no answer within {wait_s:.0f} s", advice)]
    took_s = (answer.at - queued.at).total_seconds()
    if answer.actor not in names:
        advice = f"it came from {answer.actor}: mail of {trial.to.domain} passes through another operator's hands?"
        return [way, Finding(False, "round trip: the answer is of an operator not listed for that domain", advice)]
    return [way, Finding(True, f"round trip: answered, {took_s:.1f} s from our queue to our door")]


def _stopped_here(trial: Trial, acts: dict[str, audit.Act], wait_s: float) -> Finding:
    failed, put_off = acts.get("mail.failed"), acts.get("mail.deferred")
    if failed is not None:
        what = f"round trip: {trial.to.domain} refused a mail to {trial.to} ({failed.result})"
        return Finding(False, what, "is that its test mailbox? Else ask that operator; journal courier.failed")
    if put_off is not None:
        return Finding(False, f"round trip: the mail could not leave ({put_off.result})", advice_for(put_off.result))
    what = f"round trip: the mail was not taken from our queue within {wait_s:.0f} s"
    return Finding(False, what, "is mss serve running, with relay-out? mss queue list, journal courier.*")


def _quoted(text: str) -> bytes:
    return quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
