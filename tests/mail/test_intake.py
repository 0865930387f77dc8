"""How mail of other operators comes in, over the real store."""

from __future__ import annotations

from mss.model.verdict import Accept
from tests.kit.mailroom import MailRoom, mail


async def test_mail_after_a_retry_and_a_restart_can_still_be_read(room: MailRoom) -> None:
    """A peer repeats what stands already, just after we started again: the next mail of that hour opens."""
    doctor = await room.professional("dr.house")
    await room.receive(mail(), "dr.house")
    room.restart()
    await room.receive(mail(), "dr.house")
    assert (await room.receive(mail(body="Autre.\r\n"), "dr.house")).verdict == Accept()
    first, second = await room.bodies(doctor)
    assert first.endswith(b"Bonjour.\r\n")
    assert second.endswith(b"Autre.\r\n")
