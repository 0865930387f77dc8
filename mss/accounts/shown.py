"""May software still sign in with the certificate that it shows?

TLS has judged chain, purpose and dates at the handshake; here it is asked whether its authority took it back, and
whether it is strong enough, at every sign-in and again while a session lasts. The revocation lists are those of the
relay. Of an authority for which none of them speaks, as a house's own for its software, there is nobody to ask. Where
one does and is over, nobody can tell, and nobody comes in until it is renewed.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from mss.crypto.certs import Purpose, Weakness, load_der, read, serial_of
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import RevocationLists
from mss.model.clock import Clock
from mss.model.errors import BadValue, StorageUnavailable

log = structlog.get_logger("accounts")

Shown = Callable[[bytes], str]
"""The subject (RFC 4514) of a certificate in DER. Raises BadValue for one that opens nothing, StorageUnavailable when
that cannot be known now."""


def subject_of(der: bytes) -> str:
    """Whatever it says: where there are no revocation lists. Raises BadValue."""
    return str(read(load_der(der)).subject)


class ShownCertificates:
    """`subject` is a `Shown`."""

    def __init__(self, examiner: Examiner, lists: Callable[[], RevocationLists | None], clock: Clock) -> None:
        """`examiner` knows the authorities of software; `lists` gives the newest."""
        self._examiner = examiner
        self._lists = lists
        self._clock = clock

    def subject(self, der: bytes) -> str:
        now, lists = self._clock.now(), self._lists()
        if lists is not None and not self._speaks(lists, der):
            lists = None
        found = self._examiner.examine(der, purpose=Purpose.CLIENT, now=now, revocations=lists)
        if found.certificate is None:
            raise BadValue("certificate cannot be read")
        weaknesses = found.weaknesses
        if weaknesses == {Weakness.REVOCATION_UNKNOWN}:
            log.error("certificate.nobody-can-tell", serial=serial_of(der))
            raise StorageUnavailable("the revocation list of its authority is over")
        if weaknesses:
            reasons = sorted(one.name.lower().replace("_", "-") for one in weaknesses)
            log.warning("certificate.refused", serial=serial_of(der), reasons=reasons)
            raise BadValue(f"certificate opens nothing: {', '.join(reasons)}")
        return str(found.certificate.subject)

    def _speaks(self, lists: RevocationLists, der: bytes) -> bool:
        """Whether any list is of an authority on its path."""
        authorities = {link.authority for link in self._examiner.path(der)}
        return any(one.authority in authorities for one in lists.lists)


def still_opens(shown: Shown, der: bytes) -> bool:
    """Of a session that began with this certificate; empty: it began with something else. Raises StorageUnavailable."""
    try:
        return not der or bool(shown(der))
    except BadValue:
        return False
