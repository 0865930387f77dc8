"""Whoever's letter was opened by somebody else reads in her own mailbox that her pages are open to somebody."""

from __future__ import annotations

from base64 import b32encode

import pyotp

from mss.accounts.professionals import WAY_IN, Professionals
from mss.accounts.sessions import Sessions
from mss.accounts.verification import Verification
from mss.model.clock import to_ms
from mss.model.ids import MailAddress
from mss.notices.compose import House as Writer
from mss.notices.wayin import WayInNotices
from tests.kit.frenchpeople import rpps
from tests.kit.house import POSTMASTER, House
from tests.refusals.test_infected_mail import inbox

ADDRESS = MailAddress.parse("dr.a@chu.mssante.example")


async def test_she_is_told_once_that_her_pages_are_open(house: House) -> None:
    """When the link is used and not before; a duty that is done twice is one mail. The link itself is in none."""
    below, clock = house.cellar, house.clock
    store, lookup, chance = below.store, below.public.lookup, below.chance
    owner = await house.professional(str(ADDRESS))
    await Verification(store, lookup, house.bus, clock).begin(owner, rpps(1))
    sessions = Sessions(store, lookup, clock, chance)
    service = Professionals(store, lookup, below.private.wrapper, sessions, clock, chance)
    link = await service.invite(owner, ADDRESS, "staff:test")
    code = pyotp.TOTP(pyotp.random_base32()).at(clock.now())
    assert await service.accept(link, "browser", "hash", code) is None
    assert await house.due() == []
    plain = pyotp.TOTP(b32encode(service.code_secret(link, "browser")).decode())
    assert await service.accept(link, "browser", "hash", plain.at(clock.now())) is not None
    (duty,) = await house.due()
    assert (duty.kind, duty.owner, int(duty.payload)) == (WAY_IN, owner, to_ms(clock.now()))
    writer = Writer(house.mail_house.host, POSTMASTER)
    notices = WayInNotices(writer, store, below.opener, lookup, house.house_mail, clock)
    for _ in range(2):
        await notices.handlers[WAY_IN](duty)
    (told,) = await inbox(house, owner)
    part = told.get_body(("plain",))
    assert part is not None
    text = part.get_content()
    assert told["Subject"] == "Un accès aux pages web a été ouvert"
    assert text.count(str(ADDRESS)) == 2, "in both languages"
    assert link not in text
