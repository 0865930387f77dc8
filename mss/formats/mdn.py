"""What became of this message at its reader's, told in a form that the sender's software understands?

Message disposition notifications (accusés de lecture et d'intégration): RFC 8098, with the error codes that the ANS
gives to health software in the Disposition field. The machine part is ASCII, the words are French, then English.
Also reads the machine part of an MDN, and judges whether one may be sent by itself. Never says more to the sender
than the table here: not who exists, not what another document holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from mss.formats.headers import decode_words, plain
from mss.formats.report import Heading, Machine, read_groups, typed_value, write
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.model.verdict import Reason

REPORT_TYPE = "disposition-notification"
MEDIA_TYPE = "message/disposition-notification"
KO_SUBJECT = "[KO Intégration système !]"
ERROR_SUBJECT = "[Erreur d'intégration !]"  # so in an example of the same guide
LABEL_CHARS_MAX = 120
FIELD_READ_MAX = 1000  # one line of SMTP


class ErrorCode(IntEnum):
    """Why software did not integrate a document (ANS, échange de documents de santé entre LPS)."""

    VERSION_WRONG = 900
    NOT_THE_AUTHOR = 901
    PATIENT_UNKNOWN = 902
    INS_MISSING = 903
    INS_MISMATCH = 904
    TRAITS_INCOMPLETE = 905
    OTHER = 906


LABELS: dict[ErrorCode, str] = {
    ErrorCode.VERSION_WRONG: "Version incorrecte (remplacement ou suppression)",
    ErrorCode.NOT_THE_AUTHOR: "Demandeur ni auteur ni de la même organisation",
    ErrorCode.PATIENT_UNKNOWN: "Patient inconnu",
    ErrorCode.INS_MISSING: "INS absente du document",
    ErrorCode.INS_MISMATCH: "INS différente de celle connue",
    ErrorCode.TRAITS_INCOMPLETE: "Traits INS incomplets",
    ErrorCode.OTHER: "Autre erreur",
}
LABELS_ENGLISH: dict[ErrorCode, str] = {
    ErrorCode.VERSION_WRONG: "wrong version for a replacement or a deletion",
    ErrorCode.NOT_THE_AUTHOR: "the sender is neither the author nor of the same organisation",
    ErrorCode.PATIENT_UNKNOWN: "patient unknown",
    ErrorCode.INS_MISSING: "no INS in the document",
    ErrorCode.INS_MISMATCH: "the INS is not the one we know",
    ErrorCode.TRAITS_INCOMPLETE: "the identity traits are incomplete",
    ErrorCode.OTHER: "another error",
}

CODES: dict[Reason, ErrorCode] = {
    Reason.PATIENT_UNKNOWN: ErrorCode.PATIENT_UNKNOWN,
    Reason.INS_MISSING: ErrorCode.INS_MISSING,
    Reason.INS_KEY_WRONG: ErrorCode.INS_MISSING,
    Reason.INS_MISMATCH: ErrorCode.INS_MISMATCH,
    Reason.INS_FORMER: ErrorCode.INS_MISMATCH,
    Reason.TRAITS_MISMATCH: ErrorCode.INS_MISMATCH,
    Reason.NAME_UNLIKE: ErrorCode.INS_MISMATCH,
    Reason.IMAGES_OF_SEVERAL: ErrorCode.INS_MISMATCH,
    Reason.TRAITS_INCOMPLETE: ErrorCode.TRAITS_INCOMPLETE,
    Reason.IDENTITY_NOT_QUALIFIED: ErrorCode.INS_MISMATCH,
    Reason.INS_SAID_NOT_QUALIFIED: ErrorCode.INS_MISMATCH,
    Reason.VERSION_WRONG: ErrorCode.VERSION_WRONG,
    Reason.STATUS_CHANGE_ASKED: ErrorCode.VERSION_WRONG,
    Reason.ADDENDUM_MISPLACED: ErrorCode.VERSION_WRONG,
    Reason.NOT_THE_AUTHOR: ErrorCode.NOT_THE_AUTHOR,
    Reason.NOT_THE_MAILBOX: ErrorCode.NOT_THE_AUTHOR,
    Reason.ARCHIVE_BROKEN: ErrorCode.OTHER,
    Reason.ARCHIVE_UNSAFE: ErrorCode.OTHER,
    Reason.METADATA_BROKEN: ErrorCode.OTHER,
    Reason.RELATION_UNKNOWN: ErrorCode.OTHER,
    Reason.FOLDER_NOT_CARRIED_OUT: ErrorCode.OTHER,
    Reason.CDA_BROKEN: ErrorCode.OTHER,
    Reason.DICOM_BROKEN: ErrorCode.OTHER,
    Reason.UNDECRYPTABLE: ErrorCode.OTHER,
    Reason.SIGNATURE_BROKEN: ErrorCode.OTHER,
    Reason.SIGNATURE_DOUBTFUL: ErrorCode.OTHER,
    Reason.HASH_MISMATCH: ErrorCode.OTHER,
    Reason.DOCUMENT_CONFLICT: ErrorCode.OTHER,
    Reason.TAKEN_OUT: ErrorCode.OTHER,
    Reason.KEPT_BACK_UNTIL_ANNOUNCED: ErrorCode.OTHER,
    Reason.ANNOUNCEMENT_UNMATCHED: ErrorCode.OTHER,
    Reason.FLAG_UNKNOWN: ErrorCode.OTHER,
    Reason.UNREADABLE: ErrorCode.OTHER,
    Reason.LOOSE_DOCUMENT: ErrorCode.OTHER,
    Reason.REFUSED_BY_STAFF: ErrorCode.OTHER,
}
"""What the bridge found → the code that the sender's software knows."""


class Disposition(StrEnum):
    """disposition-type of RFC 8098 §3.2.6.2, and two of older software."""

    DISPLAYED = "displayed"
    PROCESSED = "processed"
    DELETED = "deleted"
    DISPATCHED = "dispatched"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mdn:
    """One notification. Addresses are texts, since those of others are read too."""

    final_recipient: str
    original_message_id: str
    disposition: Disposition = Disposition.PROCESSED
    by_person: bool = False
    """manual-action: a person opened the message. The notification itself is sent automatically all the same."""
    error: str = ""
    """`902^Patient inconnu` as ANS writes it; empty when all went well."""
    original_recipient: str = ""
    reporting_ua: str = ""

    @property
    def error_code(self) -> ErrorCode | None:
        """The code at the head of `error`; OTHER for one that we do not know; None without error."""
        if not self.error:
            return None
        number = self.error.partition("^")[0].strip()
        return ErrorCode(int(number)) if number in _KNOWN else ErrorCode.OTHER


_KNOWN = frozenset(str(code.value) for code in ErrorCode)


def error_of(reason: Reason, told: int = 0) -> str:
    """`code^label` of the bridge's reason, or of the code `told` by a hospital's software; 906 for every other."""
    code = ErrorCode(told) if str(told) in _KNOWN else CODES.get(reason, ErrorCode.OTHER)
    return f"{code.value}^{LABELS[code]}"


def failure_subject(error: str, subject: str) -> str:
    """`[KO Intégration système !][902] XDM/1.0/DDM+…`, once."""
    if subject.startswith(KO_SUBJECT):
        return subject
    return f"{KO_SUBJECT}[{error.partition('^')[0]}] {subject}"


def is_failure_subject(subject: str) -> bool:
    """Whether a header's Subject says that somebody could not file a document (ANS has two spellings)."""
    return decode_words(subject).strip().startswith((KO_SUBJECT, ERROR_SUBJECT))


def write_mdn(heading: Heading, mdn: Mdn, original: bytes, *, details: Sequence[str] = (), whole: bool = True) -> bytes:
    """The notification. `details` are lines for people, in the sender's language: which document, what next.

    `original` comes back whole, with its attachments (ANS), or as its header when it is too large or `whole` is False.
    """
    machine = Machine(REPORT_TYPE, MEDIA_TYPE, [_machine_fields(mdn)])
    return write(heading, _words(mdn, details), machine, original, whole=whole)


def write_letter(
    heading: Heading, mdn: Mdn, original: bytes, *, details: Sequence[str] = (), whole: bool = True
) -> bytes:
    """The same told to a sender who asked for no MDN: an ordinary mail with the original joined (ANS)."""
    return write(heading, _words(mdn, details), None, original, whole=whole)


def _machine_fields(mdn: Mdn) -> list[tuple[str, str]]:
    action = "manual-action" if mdn.by_person else "automatic-action"
    error = _ascii(mdn.error)[:LABEL_CHARS_MAX]
    outcome = f"{mdn.disposition.value}/Error: {error}" if error else mdn.disposition.value
    return [
        ("Reporting-UA", mdn.reporting_ua),
        ("Original-Recipient", f"rfc822; {mdn.original_recipient}" if mdn.original_recipient else ""),
        ("Final-Recipient", f"rfc822; {mdn.final_recipient}"),
        ("Original-Message-ID", mdn.original_message_id),
        ("Disposition", f"{action}/MDN-sent-automatically; {outcome}"),
        ("Error", error),  # where RFC 8098 §3.2.7 puts it; ANS has it in the line above
    ]


def _ascii(text: str) -> str:
    """Letters without their accents: the machine part knows no others (RFC 8098 §3.1.1)."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _words(mdn: Mdn, details: Sequence[str]) -> str:
    told = "".join(f"  - {plain(line)}\n" for line in details)
    told = f"\n{told}" if told else ""
    french, english = _outcome(mdn)
    return (
        f"Bonjour,\n\n{french}\n{told}\n"
        f"Destinataire : {mdn.final_recipient}\n"
        "Votre message est rappelé en pièce jointe. Cette réponse est automatique.\n\n"
        "-- English --\n\n"
        f"{english}\n\n"
        f"Recipient: {mdn.final_recipient}\n"
        "Your message is attached for reference. This answer was sent automatically.\n"
    )


def _outcome(mdn: Mdn) -> tuple[str, str]:
    """One sentence in French, one in English."""
    code = mdn.error_code
    if code is not None:
        label = mdn.error.partition("^")[2] or LABELS[code]
        return (
            f"Votre message est arrivé, mais un document au moins n'a pas été intégré.\nMotif {code.value} : {label}.",
            "Your message arrived, but at least one document was not filed.\n"
            f"Reason {code.value}: {LABELS_ENGLISH[code]}.",
        )
    return _SENTENCES.get(mdn.disposition, _SENTENCES[Disposition.PROCESSED])


_SENTENCES = {
    Disposition.PROCESSED: (
        "Les documents de votre message ont été intégrés au dossier du destinataire.",
        "The documents of your message were filed in the recipient's record.",
    ),
    Disposition.DISPLAYED: (
        "Votre message a été affiché par son destinataire.",
        "Your message was displayed to its recipient.",
    ),
    Disposition.DELETED: (
        "Votre message a été supprimé par son destinataire sans avoir été affiché.",
        "Your message was deleted by its recipient without being displayed.",
    ),
}


_DISPOSITION = re.compile(
    r"\s*(manual|automatic)-action\s*/\s*mdn-sent-(?:manually|automatically)\s*;"
    r"\s*([a-z]{1,20})\s*(?:/\s*([a-z][a-z, -]{0,59})(?::(.*))?)?\Z",
    re.IGNORECASE,
)


def read_mdn(content: bytes) -> Mdn:
    """Read a decoded part message/disposition-notification. Raises Malformed(HEADER_MALFORMED)."""
    fields = {name: value for group in read_groups(content) for name, value in group.items()}
    found = _DISPOSITION.match(fields.get("disposition", "")[:FIELD_READ_MAX])
    if found is None or "final-recipient" not in fields:
        raise Malformed(Reason.HEADER_MALFORMED, "not a disposition notification")
    try:
        disposition = Disposition(found[2].lower())
    except ValueError:
        raise Malformed(Reason.HEADER_MALFORMED, "unknown disposition") from None
    is_error = (found[3] or "").partition(",")[0].strip().lower() in ("error", "failed")
    return Mdn(
        final_recipient=typed_value(fields["final-recipient"]),
        original_message_id=fields.get("original-message-id", ""),
        disposition=disposition,
        by_person=found[1].lower() == "manual",
        error=((found[4] or "").strip() or fields.get("error", "") or str(ErrorCode.OTHER.value)) if is_error else "",
        original_recipient=typed_value(fields.get("original-recipient", "")),
        reporting_ua=fields.get("reporting-ua", ""),
    )


@dataclass(frozen=True, slots=True)
class MdnRequest:
    """What a message says about receipts: its own fields, as received."""

    notify: Sequence[str]
    """The addresses of all Disposition-Notification-To fields, each `local@domain`."""
    return_path: MailAddress | None
    """The envelope's sender."""
    content_type: str = "text/plain"
    auto_submitted: str = ""
    options: str = ""
    """Disposition-Notification-Options."""


def may_send_mdn(request: MdnRequest) -> bool:
    """May an answer be sent without asking a person (RFC 8098 §2.1, §2.2; RFC 3834 §2)?

    Never to nobody, to several, to another than the sender, for a report, for an automaton's mail, or when the sender
    requires an option that we do not know.
    """
    if request.return_path is None or len(request.notify) != 1:
        return False
    if request.content_type.lower() in ("multipart/report", MEDIA_TYPE, "message/delivery-status"):
        return False
    if request.auto_submitted.partition(";")[0].strip().lower() not in ("", "no"):
        return False
    if re.search(r"=\s*required\b", request.options, re.IGNORECASE):
        return False
    try:
        asked = MailAddress.parse(request.notify[0])
    except BadValue:
        return False
    # §2.1: the local part counts its letters' case, the domain does not.
    return asked.local == request.return_path.local and asked.domain == request.return_path.domain
