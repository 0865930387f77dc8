"""What may be read in our log about a mail door?

One function for each thing that can happen. Numbers, reasons, certificate serials and kinds of error; never an address
of a person, a subject or a word of a message.
"""

from __future__ import annotations

import structlog

from mss.crypto.tls import RefusedPeer
from mss.model.verdict import Later, Reason, Refuse

log = structlog.get_logger("smtp")


def listening(door: str, host: str, port: int) -> None:
    log.info("smtp.listening", door=door, host=host, port=port)


def turned_back(door: str, remote_address: str) -> None:
    """Too many connections, from there or in all."""
    log.warning("smtp.too-many-connections", door=door, remote=remote_address)


def disk(*, has_room: bool) -> None:
    """The disk has become too full for mail, or has room again."""
    (log.info if has_room else log.error)("smtp.disk", has_room=has_room)


def handshake_refused(refused: RefusedPeer) -> None:
    """A TLS alert ended it; give this to the contexts of `crypto.tls` as `on_refused`."""
    known = refused.certificate
    serial, subject = (known.serial_hex, str(known.subject)) if known else ("", "")
    log.warning("smtp.handshake-refused", serial=serial, subject=subject, reason=refused.reason)


def handshake_failed(door: str, remote_address: str, kind: str) -> None:
    log.info("smtp.handshake-failed", door=door, remote=remote_address, error=kind)


def accepted(door: str, number: int, octets: int, serial: str) -> None:
    log.info("smtp.accepted", door=door, message=number, octets=octets, serial=serial)


def long_line(door: str, number: int, line: int, serial: str) -> None:
    """Taken although no server need take it: a peer's software errs, and its operator may be told."""
    log.warning("smtp.long-line", door=door, message=number, line=line, serial=serial)


def turned_away(door: str, stage: str, verdict: Refuse | Later, serial: str) -> None:
    """Refused or put off, at MAIL, RCPT or DATA."""
    what = "smtp.refused" if isinstance(verdict, Refuse) else "smtp.later"
    more = {"detail": verdict.detail} if verdict.reason is Reason.CERTIFICATE_WEAK else {}
    log.info(what, door=door, stage=stage, reason=verdict.reason.value, serial=serial, **more)


def cut(door: str, remote_address: str, why: str) -> None:
    """We ended a connection: too slow, too many errors, not in step."""
    log.info("smtp.cut", door=door, remote=remote_address, why=why)


def broke(door: str, error: BaseException) -> None:
    """A fault of ours: its kind and its place in the code, and no value that it carries."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}" if at else ""
    log.error("smtp.fault", door=door, error=type(error).__name__, at=where)


def relayed(queued: int, host: str, recipients: int) -> None:
    """Another operator has taken it."""
    log.info("courier.relayed", queued=queued, host=host, recipients=recipients)


def put_off(queued: int, next_hop: str, why: str) -> None:
    log.info("courier.later", queued=queued, next_hop=next_hop, why=why)


def not_shared(queued: int, next_hop: str, host: str, verdict: Refuse | Later) -> None:
    """A connection that lay idle at its host is not for this domain: the certificate there is another's."""
    log.info("courier.not-shared", queued=queued, next_hop=next_hop, host=host, reason=verdict.reason.value)


def our_certificate_refused(host: str, why: str) -> None:
    """Ours to mend: mail for that operator waits until it is."""
    log.error("courier.our-certificate-refused", host=host, why=why)


def failed(queued: int, next_hop: str, why: str) -> None:
    log.warning("courier.failed", queued=queued, next_hop=next_hop, why=why)


def parked(queued: int, why: str) -> None:
    """Something of ours is wrong with this row; it waits for a human."""
    log.error("courier.parked", queued=queued, why=why)


def stumbled(what: str, error: BaseException) -> None:
    """The courier itself met a fault and goes on."""
    log.error("courier.fault", what=what, error=type(error).__name__)
