"""Did this message reach its recipients, told in a form that a doctor and a mail server both understand?

Delivery status notifications (accusés de réception et de non-distribution): RFC 3464 inside RFC 6522, French words,
then English. For a patient who cannot be reached there is one wording, whatever the cause: unknown, objected, closed
and dead must not be told apart. Also reads the machine part of a DSN. Never decides when one is owed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum

from mss.formats.headers import parse_date, plain
from mss.formats.report import Fields, Heading, Machine, read_groups, typed_value, write
from mss.model.errors import BadValue, Malformed
from mss.model.message import NO_WISH, DsnWish, Notify
from mss.model.verdict import Reason

REPORT_TYPE = "delivery-status"
MEDIA_TYPE = "message/delivery-status"
RECIPIENTS_MAX = 100  # an SMTP transaction of ours takes no more
DIAGNOSTIC_CHARS_SHOWN = 200  # to people; machines get the whole line
NOTE_CHARS_SHOWN = 500
ADDRESS_CHARS_SHOWN = 254

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)  # RFC 3463 §2
_HEX_CHARACTER = re.compile(r"\+([0-9A-F]{2})", re.ASCII)  # RFC 3461 §4
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)


class Action(StrEnum):
    """RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What became of the message for one recipient. Addresses are texts, since those of others are read too."""

    final_recipient: str
    action: Action
    status: str
    """Enhanced status code, `5.1.1` (RFC 3463)."""
    original_recipient: str = ""
    diagnostic: str = ""
    """The other server's words, one line: `550 5.1.1 …`."""
    remote_mta: str = ""
    last_attempt: datetime | None = None
    will_retry_until: datetime | None = None
    reason: Reason | None = None
    """Chooses the words for people; not written for machines, None when read."""
    note: str = ""
    """What staff wrote to the sender, for people; empty when read."""
    original_type: str = "rfc822"
    """Of `original_recipient` (RFC 3461 §4.2)."""

    def __post_init__(self) -> None:
        if not _STATUS.fullmatch(self.status):
            raise BadValue("not an enhanced status code")
        if self.reason is Reason.UNREACHABLE and (self.diagnostic or self.remote_mta or self.last_attempt):
            raise BadValue("an unreachable patient has no story")  # it would tell the causes apart
        if not _ADDRESS_TYPE.fullmatch(self.original_type):
            raise BadValue("not the type of an address")


@dataclass(frozen=True, slots=True)
class Dsn:
    """One notification about one message."""

    reporting_mta: str
    recipients: tuple[RecipientStatus, ...]
    arrival: datetime | None = None
    envelope_id: str = ""
    """ENVID of the sender, decoded (RFC 3461 §4.4)."""

    def __post_init__(self) -> None:
        if not 0 < len(self.recipients) <= RECIPIENTS_MAX:
            raise BadValue("a notification about nobody, or about too many")


def write_dsn(
    heading: Heading, dsn: Dsn, original: bytes, *, whole: bool = False, opening: tuple[str, str] | None = None
) -> bytes:
    """The notification. By default the header alone comes back: the sender has the message, and it may be large.

    `opening`: other first words than those of the action, French and English."""
    groups = [_message_fields(dsn), *(_recipient_fields(recipient) for recipient in dsn.recipients)]
    return write(heading, _words(dsn, opening), Machine(REPORT_TYPE, MEDIA_TYPE, groups), original, whole=whole)


def unreachable(address: str, original_recipient: str = "") -> RecipientStatus:
    """A patient who cannot be reached: the same for everyone, "other address status" (RFC 3463 §3.2)."""
    return RecipientStatus(address, Action.FAILED, "5.1.0", original_recipient, reason=Reason.UNREACHABLE)


def decode_xtext(text: str) -> str:
    """What ENVID and ORCPT say (RFC 3461 §4): `+2B` is a plus sign. Octets become characters one by one."""
    return _HEX_CHARACTER.sub(lambda found: chr(int(found[1], 16)), text)


def wanted(wish: DsnWish, statuses: Iterable[RecipientStatus]) -> tuple[RecipientStatus, ...]:
    """Those of which the sender wants to be told, each as he first wrote it (RFC 3461 §4.1, §4.2)."""
    told = []
    for status in statuses:
        asked = wish.recipients.get(status.final_recipient.lower(), NO_WISH)
        if asked.wants(_WISHED[status.action]):
            kind, _, original = asked.original.partition(";")
            if original and _ADDRESS_TYPE.fullmatch(kind):
                status = replace(status, original_recipient=decode_xtext(original), original_type=kind)
            told.append(status)
    return tuple(told)


_WISHED = {
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
    Action.DELIVERED: Notify.SUCCESS,
    Action.RELAYED: Notify.SUCCESS,
    Action.EXPANDED: Notify.SUCCESS,
}


def subject_of(dsn: Dsn) -> str:
    """The subject that mail programs know, French first."""
    actions = {recipient.action for recipient in dsn.recipients}
    if Action.FAILED in actions:
        return "Message non distribué (Undelivered Mail Returned to Sender)"
    if Action.DELAYED in actions:
        return "Message retardé (Delayed Mail, still being retried)"
    return "Accusé de réception (Successful Mail Delivery Report)"


def _message_fields(dsn: Dsn) -> Fields:
    return [
        ("Original-Envelope-Id", dsn.envelope_id),
        ("Reporting-MTA", f"dns; {dsn.reporting_mta}"),
        ("Arrival-Date", _date(dsn.arrival)),
    ]


def _recipient_fields(recipient: RecipientStatus) -> Fields:
    return [
        ("Original-Recipient", _typed(recipient.original_type, recipient.original_recipient)),
        ("Final-Recipient", f"rfc822; {recipient.final_recipient}"),
        ("Action", recipient.action.value),
        ("Status", recipient.status),
        ("Remote-MTA", _typed("dns", recipient.remote_mta)),
        ("Diagnostic-Code", _typed("smtp", recipient.diagnostic)),
        ("Last-Attempt-Date", _date(recipient.last_attempt)),
        ("Will-Retry-Until", _date(recipient.will_retry_until) if recipient.action is Action.DELAYED else ""),
    ]


def _typed(kind: str, value: str) -> str:
    return f"{kind}; {value}" if value else ""


def _date(moment: datetime | None) -> str:
    return format_datetime(moment) if moment else ""


# Words for people: what happened, what to do. French, English.

_Words = tuple[str, str]

_EXPLAINED: dict[Reason, _Words] = {
    Reason.UNREACHABLE: (
        "Ce patient ne peut pas être joint par la messagerie sécurisée. Utilisez un autre moyen pour lui transmettre"
        " vos documents.",
        "This patient cannot be reached by secure messaging. Please use another way to pass on your documents.",
    ),
    Reason.MAILBOX_UNKNOWN: (
        "Cette adresse n'existe pas. Vérifiez-la dans l'Annuaire Santé.",
        "This address does not exist. Please check it in the health directory.",
    ),
    Reason.MAILBOX_CLOSED: (
        "Cette boîte aux lettres est fermée. Cherchez une autre adresse dans l'Annuaire Santé.",
        "This mailbox is closed. Please look for another address in the health directory.",
    ),
    Reason.MAILBOX_SUSPENDED: (
        "Cette boîte aux lettres est suspendue pour le moment.",
        "This mailbox is suspended for the moment.",
    ),
    Reason.MAILBOX_OVER_QUOTA: (
        "La boîte aux lettres du destinataire est pleine. Prévenez-le par un autre moyen.",
        "The recipient's mailbox is full. Please tell them by other means.",
    ),
    Reason.RECIPIENT_MALFORMED: (
        "Cette adresse est mal écrite. Corrigez-la et renvoyez le message.",
        "This address is misspelt. Please correct it and send the message again.",
    ),
    Reason.RECIPIENT_OUTSIDE_TRUST_SPACE: (
        "Cette adresse n'est pas une adresse de messagerie sécurisée de santé (MSSanté). Rien ne lui a été envoyé.",
        "This address is not one of the secure health mail space (MSSanté). Nothing was sent to it.",
    ),
    Reason.DOMAIN_NOT_TRUSTED: (
        "L'opérateur du destinataire ne figure plus sur la liste blanche MSSanté. Rien ne lui a été envoyé.",
        "The recipient's operator is no longer on the MSSanté trust list. Nothing was sent to it.",
    ),
    Reason.TOO_LARGE: (
        "Le message est trop volumineux pour le destinataire. Envoyez les documents en plusieurs messages.",
        "The message is too large for the recipient. Please send the documents in several messages.",
    ),
    Reason.EXPIRED: (
        "Le serveur du destinataire n'a pas pris le message malgré plusieurs jours d'essais.",
        "The recipient's server did not take the message in spite of several days of attempts.",
    ),
    Reason.PEER_UNREACHABLE: (
        "Le serveur du destinataire ne répond pas.",
        "The recipient's server does not answer.",
    ),
    Reason.PEER_CERTIFICATE_WRONG: (
        "Le serveur du destinataire n'a pas pu prouver son identité. Pour protéger les données du patient, rien ne lui"
        " a été envoyé.",
        "The recipient's server could not prove who it is. To protect the patient's data nothing was sent to it.",
    ),
    Reason.OUR_CERTIFICATE_REFUSED: (
        "Le serveur du destinataire n'accepte pas le certificat de notre serveur. Rien ne lui a été envoyé. Notre"
        " équipe doit s'en occuper.",
        "The recipient's server does not accept the certificate of our server. Nothing was sent to it. Our staff must"
        " see to that.",
    ),
    Reason.NEEDS_8BIT: (
        "Le serveur du destinataire n'accepte pas les caractères accentués tels que votre logiciel les envoie. Renvoyez"
        " le message encodé (quoted-printable ou base64).",
        "The recipient's server does not take accented characters as your software sends them. Please send the message"
        " encoded (quoted-printable or base64).",
    ),
    Reason.LINE_TOO_LONG: (
        "Une ligne du message est trop longue pour être transmise. Renvoyez le message encodé (quoted-printable ou"
        " base64).",
        "A line of the message is too long to be sent on. Please send the message encoded (quoted-printable or"
        " base64).",
    ),
    Reason.DROPPED_BY_STAFF: (
        "L'opérateur a retiré le message de la file d'attente. Il ne sera pas envoyé.",
        "The operator has taken the message out of the queue. It will not be sent.",
    ),
    Reason.VIRUS_FOUND: (
        "Notre antivirus y a trouvé un contenu suspect. Une personne décide de la suite. Vérifiez le poste d'où il"
        " vient ; si c'est urgent, joignez le destinataire par un autre moyen.",
        "Our antivirus found something suspicious in it. A person decides what follows. Check the computer that it came"
        " from; if it is urgent, reach the recipient by other means.",
    ),
    Reason.NOT_SCANNED: (
        "Notre antivirus n'a pas encore pu l'examiner. Il sera remis de lui-même dès que ce sera fait.",
        "Our antivirus could not look at it yet. It will be delivered by itself as soon as that is done.",
    ),
    Reason.KEPT_BY_STAFF: (
        "Notre équipe le retient pour le moment.",
        "Our staff keep it back for the moment.",
    ),
    Reason.PARKED: (
        "Un défaut de notre serveur empêche son départ. Notre équipe est prévenue.",
        "A fault of our server keeps it from leaving. Our staff have been told.",
    ),
    Reason.REFUSED_BY_STAFF: (
        "Après vérification, notre équipe a décidé de ne pas le remettre.",
        "After a check our staff decided not to deliver it.",
    ),
    Reason.PEER_REFUSED: (
        "Le serveur du destinataire a refusé le message.",
        "The recipient's server refused the message.",
    ),
}
_OF_ACTION: dict[Action, _Words] = {
    Action.FAILED: ("Le message n'a pas pu être remis.", "The message could not be delivered."),
    Action.DELAYED: ("Le message n'a pas encore pu être remis.", "The message could not be delivered yet."),
    Action.DELIVERED: ("Le message a été remis.", "The message was delivered."),
    Action.RELAYED: (
        "Le message a été transmis ; il n'y aura pas d'accusé de remise pour ce destinataire.",
        "The message was passed on; there will be no receipt of its delivery to this recipient.",
    ),
    Action.EXPANDED: ("Le message a été remis à une liste.", "The message was delivered to a list."),
}
_OPENINGS: dict[Action, _Words] = {
    Action.FAILED: ("Votre message n'a pas été distribué à :", "Your message was not delivered to:"),
    Action.DELAYED: (
        "Votre message est retardé ; nos essais continuent, vous n'avez rien à faire. Destinataires concernés :",
        "Your message is delayed; we keep trying, there is nothing you need to do. Recipients concerned:",
    ),
    Action.DELIVERED: ("Votre message a bien été distribué à :", "Your message was delivered to:"),
    Action.RELAYED: ("Votre message a été transmis pour :", "Your message was passed on for:"),
    Action.EXPANDED: ("Votre message a été distribué à une liste :", "Your message was delivered to a list:"),
}
_CLOSING: _Words = (
    "Ceci est une réponse automatique du serveur de messagerie sécurisée.",
    "This is an automatic answer of the secure mail server.",
)
_RETRY: _Words = ("Derniers essais le", "We try until")
_NOTE: _Words = ("Précision de l'opérateur :", "The operator's note:")
_SERVER_SAID: _Words = ("Réponse de son serveur :", "Its server said:")


def explain(recipient: RecipientStatus) -> _Words:
    """What happened to this recipient's copy, and what to do: French, English."""
    if recipient.reason in _EXPLAINED:
        return _EXPLAINED[recipient.reason]
    return _OF_ACTION[recipient.action]


def _words(dsn: Dsn, opening: _Words | None = None) -> str:
    french, english = ("\n".join(_in_language(dsn, language, opening)) for language in (0, 1))
    return f"Bonjour,\n\n{french}\n-- English --\n\n{english}"


def _in_language(dsn: Dsn, language: int, opening: _Words | None) -> Iterable[str]:
    for action in Action:
        concerned = [recipient for recipient in dsn.recipients if recipient.action is action]
        if not concerned:
            continue
        yield (opening or _OPENINGS[action])[language] + "\n"
        for recipient in concerned:
            yield from _about(recipient, language)
    yield _CLOSING[language] + "\n"


def _about(recipient: RecipientStatus, language: int) -> Iterable[str]:
    yield f"  {plain(recipient.original_recipient)[:ADDRESS_CHARS_SHOWN] or recipient.final_recipient}"
    if recipient.action is not Action.DELIVERED:  # there is nothing to explain
        yield f"    {explain(recipient)[language]}"
    if recipient.note:
        yield f"    {_NOTE[language]} {plain(recipient.note)[:NOTE_CHARS_SHOWN]}"
    if recipient.diagnostic:
        yield f"    {_SERVER_SAID[language]} {plain(recipient.diagnostic)[:DIAGNOSTIC_CHARS_SHOWN]}"
    if recipient.action is Action.DELAYED and recipient.will_retry_until:
        yield f"    {_RETRY[language]} {recipient.will_retry_until.strftime('%d/%m/%Y %H:%M %Z')}."
    yield ""


def read_dsn(content: bytes) -> Dsn:
    """Read a decoded part message/delivery-status. Raises Malformed(HEADER_MALFORMED)."""
    message, *groups = read_groups(content)
    recipients = tuple(found for group in groups if (found := _read_recipient(group)) is not None)
    if not recipients:
        raise Malformed(Reason.HEADER_MALFORMED, "a delivery status without recipient")
    return Dsn(
        reporting_mta=typed_value(message.get("reporting-mta", "")),
        recipients=recipients,
        arrival=parse_date(message.get("arrival-date", "")),
        envelope_id=message.get("original-envelope-id", ""),
    )


def _read_recipient(fields: dict[str, str]) -> RecipientStatus | None:
    """A recipient group, or None when it names nobody or no known action."""
    action = fields.get("action", "").split(" ", 1)[0].lower()
    if "final-recipient" not in fields or action not in set(Action):
        return None
    status = _STATUS.match(fields.get("status", ""))
    return RecipientStatus(
        final_recipient=typed_value(fields["final-recipient"]),
        action=Action(action),
        status=status[0] if status else _UNTOLD_STATUS[Action(action)],
        original_recipient=typed_value(fields.get("original-recipient", "")),
        diagnostic=typed_value(fields.get("diagnostic-code", "")),
        remote_mta=typed_value(fields.get("remote-mta", "")),
        last_attempt=parse_date(fields.get("last-attempt-date", "")),
        will_retry_until=parse_date(fields.get("will-retry-until", "")),
    )


_UNTOLD_STATUS = {
    Action.FAILED: "5.0.0",
    Action.DELAYED: "4.0.0",
    Action.DELIVERED: "2.0.0",
    Action.RELAYED: "2.0.0",
    Action.EXPANDED: "2.0.0",
}
