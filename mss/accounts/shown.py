"""May software still sign in with the certificate that it shows?

TLS has judged chain, purpose and dates at the handshake; here it is asked whether its authority took it back, and
whether it is strong enough, at every sign-in and again while a session lasts. The revocation lists are those of the
relay; responders (OCSP) are asked where the relay asks them. Of an authority for which neither speaks, as a house's own
for its software, there is nobody to ask. Where one does and is over or silent, nobody can tell, and nobody comes in
until somebody can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from mss.crypto.certs import Purpose, Weakness, load_der, read, serial_of
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import Link, ListsAndAnswers, RevocationLists, Revocations
from mss.directory.responders import Responders
from mss.model.clock import Clock
from mss.model.errors import BadValue, StorageUnavailable

log = structlog.get_logger("accounts")

Shown = Callable[[bytes], Awaitable[str]]
"""The subject (RFC 4514) of a certificate in DER. Raises BadValue for one that opens nothing, StorageUnavailable when
that cannot be known now."""


def subject_of(der: bytes) -> str:
    """Whatever it says. Raises BadValue."""
    return str(read(load_der(der)).subject)


async def taken_at_its_word(der: bytes) -> str:
    """A `Shown` for where nobody is asked about certificates."""
    return subject_of(der)


class ShownCertificates:
    """`subject` is a `Shown`."""

    def __init__(
        self,
        examiner: Examiner,
        lists: Callable[[], RevocationLists | None],
        clock: Clock,
        responders: Responders | None = None,
    ) -> None:
        """`examiner` knows the authorities of software; `lists` gives the newest. `responders`: None where none are
        asked."""
        self._examiner = examiner
        self._lists = lists
        self._clock = clock
        self._responders = responders

    async def subject(self, der: bytes) -> str:
        path = self._examiner.path(der)
        if self._responders is not None:
            await self._responders.inquire(path)
        now, known = self._clock.now(), self._known(path)
        found = self._examiner.examine(der, purpose=Purpose.CLIENT, now=now, revocations=known)
        if found.certificate is None:
            raise BadValue("certificate cannot be read")
        weaknesses = found.weaknesses
        if weaknesses == {Weakness.REVOCATION_UNKNOWN}:
            log.error("certificate.nobody-can-tell", serial=serial_of(der))
            raise StorageUnavailable("neither list nor responder of its authority speaks now")
        if weaknesses:
            reasons = sorted(one.name.lower().replace("_", "-") for one in weaknesses)
            log.warning("certificate.refused", serial=serial_of(der), reasons=reasons)
            raise BadValue(f"certificate opens nothing: {', '.join(reasons)}")
        return str(found.certificate.subject)

    def _known(self, path: Sequence[Link]) -> Revocations | None:
        """What counts for a path; None when nobody speaks for any authority on it."""
        lists, authorities = self._lists(), {link.authority for link in path}
        if self._responders is not None and self._responders.speak_for(path):
            return ListsAndAnswers(lists or RevocationLists(), self._responders.answers)
        if lists is None or not any(one.authority in authorities for one in lists.lists):
            return None
        return lists


async def still_opens(shown: Shown, der: bytes) -> bool:
    """Of a session that began with this certificate; empty: it began with something else. Raises StorageUnavailable."""
    try:
        return not der or bool(await shown(der))
    except BadValue:
        return False
