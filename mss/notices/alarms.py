"""Who among staff reads that somebody tries out which patients exist? One mail for each sender, sign and hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.crypto.keys import Lookup, PrivateKeys
from mss.mail.bell import TASK_ALARM, alarm_of
from mss.mail.submit import HouseMail
from mss.mail.vigil import Alarm, Sign
from mss.model.clock import Clock, to_ms
from mss.model.ids import MailAddress, OwnerId
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store.tasks import Task

SUBJECT = "[Alerte] recherche d'adresses de patients"
HOUR_MS = 3_600_000

log = structlog.get_logger("notices")

_SIGNS: dict[Sign, tuple[str, str]] = {
    Sign.SHARE: (
        "{unreachable} adresses de patients injoignables sur {asked} en une heure",
        "{unreachable} patients' addresses out of {asked} could not be reached within an hour",
    ),
    Sign.SEQUENCE: (
        "{asked} matricules qui ne diffèrent que par le numéro d'ordre, dont {unreachable} injoignables, en une heure",
        "{asked} INS that differ in the order number only, {unreachable} of them of nobody, within an hour",
    ),
}


class PatientAlarms:
    """Lives in works."""

    def __init__(
        self, house: House, staff: MailAddress, private: PrivateKeys, lookup: Lookup, mail: HouseMail, clock: Clock
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._staff = staff
        self._private = private
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_ALARM: self.tell}

    async def tell(self, task: Task) -> None:
        """Write to staff; a repeat, or a second process that noticed the same, changes nothing."""
        alarm = alarm_of(task, self._private.tasks)
        about = f"alarm {alarm.sign}/{alarm.who}/{to_ms(self._clock.now()) // HOUR_MS}"
        await self._letters.send(OwnerId(task.owner), self._staff, SUBJECT, words(alarm), about)
        log.info("alarm.told", task=task.id, sign=alarm.sign.value)


def words(alarm: Alarm) -> str:
    """French, then English: who, what, and what to do. Nothing was refused."""
    french, english = (text.format(asked=alarm.asked, unreachable=alarm.unreachable) for text in _SIGNS[alarm.sign])
    return (
        f"Bonjour,\n\nExpéditeur : {alarm.who}\nConstat : {french}.\n"
        "Rien n'a été refusé ; chaque expéditeur reçoit son avis. Que faire : demander à l'expéditeur, ou à l'opérateur"
        " (contact dans la liste blanche), d'où viennent ces adresses.\n\n-- English --\n\n"
        f"Sender: {alarm.who}\nSeen: {english}.\nNothing was refused. Ask the sender, or the operator (contact in the"
        " trust list), where these addresses come from.\n"
    )
