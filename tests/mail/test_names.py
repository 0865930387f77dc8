"""Other addresses of a mailbox, and writing in another's name: where mail arrives, who may write, who gets nothing."""

from __future__ import annotations

from email import message_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mss.accounts.lifecycle import LifeEvent
from mss.accounts.software import SoftwareLogin, make_application_password
from mss.mail import policy
from mss.mail.reception import Peer
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.store import audit, owners
from mss.store.accounts import CredentialKind
from tests.kit.mailroom import HOUSE, LAB, PATIENTS, MailRoom, address, mail

DOCTOR, WILSON = address("dr.house"), address("dr.wilson")
NO = Refuse(Reason.FROM_NOT_OF_LOGIN)


def letter(*more: str, sender: object = DOCTOR) -> bytes:
    return mail(*more, "Date: Mon, 05 Jan 2026 10:00:00 +0100", sender=str(sender))


# Other addresses


async def test_mail_to_any_address_of_a_mailbox_arrives_once(room: MailRoom) -> None:
    """Alias, previous address and first one: one mailbox, one copy, whatever the case."""
    doctor = await room.professional("dr.house")
    alias = await room.alias(doctor, "gregory.house")
    previous = await room.alias(doctor, "g.house", is_previous=True)
    for one in (alias, previous, address("Gregory.HOUSE")):
        assert await room.may_send_to(one) == Accept()
    assert (await room.receive(mail(), alias, previous, DOCTOR)).verdict == Accept()
    assert len(await room.bodies(doctor)) == 1
    assert (await room.receive(mail("X-Round: 2"), previous)).verdict == Accept()
    assert len(await room.bodies(doctor)) == 2


async def test_an_alias_is_refused_as_its_mailbox_is(room: MailRoom) -> None:
    """Suspended, closed, full: the alias says the same; reopened, it works again."""
    doctor = await room.professional("dr.house")
    alias = await room.alias(doctor, "gregory.house")

    async def both() -> set[Verdict]:
        return {await room.may_send_to(one) for one in (alias, DOCTOR)}

    await room.cellar.accounts.live_on(doctor, LifeEvent.SUSPEND)
    assert await both() == {Later(Reason.MAILBOX_SUSPENDED)}
    await room.cellar.accounts.live_on(doctor, LifeEvent.CLOSE)
    assert await both() == {Refuse(Reason.MAILBOX_CLOSED)}
    await room.cellar.accounts.live_on(doctor, LifeEvent.REOPEN)
    assert await both() == {Accept()}
    await room.names.set_quota(doctor, 1)
    await room.receive(mail(), alias)
    assert await both() == {Later(Reason.MAILBOX_OVER_QUOTA)}


async def test_an_address_that_was_somebodys_is_never_another_ones(room: MailRoom) -> None:
    """Late mail would reach a stranger: not after closing, not after the alias is gone, not as a new mailbox."""
    doctor, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    alias = await room.alias(doctor, "gregory.house")
    await room.names.remove_alias(doctor, alias)
    assert await room.may_send_to(alias) == Refuse(Reason.MAILBOX_UNKNOWN)
    await room.cellar.accounts.live_on(doctor, LifeEvent.CLOSE)
    for taken in ("dr.house", "gregory.house", "Gregory.House"):
        with pytest.raises(BadValue):
            await room.alias(wilson, taken)
        with pytest.raises(BadValue):
            await room.professional(taken)
        assert await room.names.aliases(await room.cellar.keys(wilson)) == []
    await room.alias(doctor, "gregory.house")  # its own holder may have it back
    assert await room.may_send_to(alias) == Refuse(Reason.MAILBOX_CLOSED)


async def test_a_patients_address_has_no_other(room: MailRoom) -> None:
    """It follows her INS; and nobody writes in her name."""
    claire, doctor = await room.patient(), await room.professional("dr.house")
    with pytest.raises(BadValue, match="INS"):
        await room.alias(claire.owner, "claire.martin")
    with pytest.raises(BadValue, match="INS"):
        await room.names.delegate(claire.owner, doctor)
    with pytest.raises(BadValue):
        await room.alias(doctor, claire.address)


async def test_one_writes_under_an_alias_but_not_under_a_previous_address(room: MailRoom) -> None:
    """Nor signs in with it: it is for mail that comes late."""
    doctor = await room.professional("dr.house")
    alias = await room.alias(doctor, "gregory.house")
    previous = await room.alias(doctor, "g.house", is_previous=True)
    assert (await room.submit(doctor, letter(sender=alias), LAB, sender=alias)).verdict == Accept()
    assert (await room.submit(doctor, letter(sender=previous), LAB, sender=DOCTOR)).verdict == NO
    peer = Peer(f"login:{doctor}", account=doctor)
    assert await room.submission.sender(peer, previous) == Refuse(Reason.SENDER_NOT_OF_LOGIN)
    lookup = room.cellar.public.lookup
    secret, verifier = make_application_password(lookup, room.chance)
    await room.cellar.accounts.add_credential(doctor, CredentialKind.APPLICATION_PASSWORD, verifier)
    login = SoftwareLogin(room.store, lookup, room.clock, room.chance)
    assert await login.application_password(str(alias), secret) == doctor
    assert await login.application_password(str(previous), secret) is None


# In another's name


async def delegated(room: MailRoom) -> tuple[OwnerId, OwnerId]:
    """Wilson may write in House's name."""
    doctor, wilson = await room.professional("dr.house"), await room.professional("dr.wilson")
    await room.names.delegate(doctor, wilson)
    return doctor, wilson


async def test_a_delegate_writes_in_the_others_name_and_is_named(room: MailRoom) -> None:
    """RFC 5322 §3.6.2: From is whom he writes for, Sender who wrote, added when he did not say so; both trails tell."""
    doctor, wilson = await delegated(room)
    for raw in (letter(), letter(f"Sender: {WILSON}", "Message-ID: <deux@chu.mssante.example>")):
        receipt = await room.submit(wilson, raw, LAB, sender=DOCTOR, signed_in_as=WILSON)
        assert receipt.verdict == Accept()
    for outgoing in await room.queued():
        left = message_from_bytes(outgoing.raw)
        assert left.get_all("From") == [str(DOCTOR)]
        assert left.get_all("Sender") == [str(WILSON)]
        assert outgoing.sender == DOCTOR
    hashed = room.cellar.public.lookup.message_id("<deux@chu.mssante.example>")
    told = {(row.act.act, row.act.owner) for row in await room.store.read(lambda c: audit.by_message_id(c, hashed))}
    assert ("mail.written-for", doctor) in told


async def test_a_delegation_opens_one_name_only(room: MailRoom) -> None:
    """Not the other way round, not for a third, not hidden behind the holder's own Sender, not without a name."""
    doctor, wilson = await delegated(room)
    cuddy = await room.professional("dr.cuddy")
    assert (await room.submit(doctor, letter(sender=WILSON), LAB, sender=DOCTOR)).verdict == NO
    assert (await room.submit(cuddy, letter(), LAB, sender=DOCTOR)).verdict == NO
    hidden = letter(f"Sender: {DOCTOR}")
    assert (await room.submit(wilson, hidden, LAB, sender=DOCTOR, signed_in_as=WILSON)).verdict == NO
    assert (await room.submit(wilson, letter(), LAB, sender=DOCTOR)).verdict == NO
    with pytest.raises(BadValue):
        await room.names.delegate(doctor, await room.professional("robot", MailboxKind.APPLICATION))
    with pytest.raises(BadValue):
        await room.names.delegate(doctor, doctor)


@pytest.mark.parametrize("end", ["revoked", "closed", "delegate suspended"])
async def test_a_delegation_ends_with_the_next_message(room: MailRoom, end: str) -> None:
    """Revoked, or either of the two gone: refused, at MAIL FROM already."""
    doctor, wilson = await delegated(room)
    peer = Peer(f"login:{wilson}", account=wilson)
    assert await room.submission.sender(peer, DOCTOR) == Accept()
    if end == "revoked":
        await room.names.revoke(doctor, wilson)
        assert await room.names.delegates(doctor) == []
    else:
        whom = doctor if end == "closed" else wilson
        state = AccountState.CLOSED if end == "closed" else AccountState.SUSPENDED
        await room.cellar.accounts.set_state(whom, state)
    assert await room.submission.sender(peer, DOCTOR) == Refuse(Reason.SENDER_NOT_OF_LOGIN)
    assert (await room.submit(wilson, letter(), LAB, sender=DOCTOR, signed_in_as=WILSON)).verdict == NO


async def test_a_delegate_does_not_open_the_mailbox(room: MailRoom) -> None:
    """To write in a name is not to read its mail: the mail client is given no such mailbox."""
    from mss.model.rights import letters_of

    doctor, wilson = await delegated(room)
    memberships = await room.store.read(lambda c: owners.memberships(c, wilson))
    assert [owner for owner, _ in memberships] == [doctor]
    assert not any(letters_of(word) for _, word in memberships)


# What was judged is what is used

LOCALS = st.sampled_from(["dr.house", "DR.House", "gregory.house", "g.house", "gone", "dr.wilson", "postmaster", "x"])
DOMAINS = st.sampled_from(["chu.mssante.example", "CHU.mssante.EXAMPLE", PATIENTS])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
async def test_the_address_that_was_judged_is_the_one_that_delivery_uses(room: MailRoom, data: st.DataObject) -> None:
    """Through aliases, cases and states: whose mailbox the judge was told of gets the mail, and nobody else does."""
    if not await room.store.read(lambda c: list(owners.all_mailboxes(c))):
        doctor, _ = await room.professional("dr.house"), await room.professional("dr.wilson")
        await room.alias(doctor, "gregory.house")
        await room.alias(doctor, "g.house", is_previous=True)
        await room.names.remove_alias(doctor, await room.alias(doctor, "gone"))
        await room.professional(str(HOUSE.postmaster))
    recipient = MailAddress(data.draw(LOCALS), data.draw(DOMAINS))
    everybody = await room.store.read(lambda c: [box.owner for box in owners.all_mailboxes(c)])
    before = {owner: len(await room.stored(owner)) for owner in everybody}
    facts = await room.recipients.facts(recipient, may_relay=False, is_trusted=False)
    judged = await room.recipients.mailbox(recipient)
    assert facts.mailbox_state == (None if judged is None else judged.state)
    if not isinstance(policy.judge_recipient(facts), Accept):
        return
    assert judged is not None
    fresh = f"Message-ID: <{room.chance.token(8).hex()}@labo.mssante.example>"
    assert (await room.receive(mail(fresh), recipient)).verdict == Accept()
    grown = [owner for owner in everybody if len(await room.stored(owner)) > before[owner]]
    assert grown == [judged.owner]
