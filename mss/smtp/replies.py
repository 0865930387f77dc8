"""What does the outside read when a mail door says yes, no or later?

One table from `Reason` to reply, for both doors; docs/reasons.md shows the same codes to people. Texts say little,
never describe our inside, and are the same for all patients. A Refuse is told as 5xx and a Later as 4xx, whatever
the table says, so that a reason used the wrong way round can neither bounce mail that would pass later nor keep
somebody trying for days.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict


@dataclass(frozen=True, slots=True)
class Reply:
    """Code (RFC 5321 §4.2), enhanced code (RFC 3463, empty where RFC 2034 §4 wants none) and a short text."""

    code: int
    enhanced: str
    text: str
    line: bytes = field(init=False, compare=False, repr=False)
    """As it goes on the wire."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "line", f"{self}\r\n".encode("ascii"))

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def is_positive(self) -> bool:
        return self.code < 400


REPLIES: dict[Reason, Reply] = {
    # the connection and the certificate
    Reason.TLS_REQUIRED: Reply(530, "5.7.0", "Must issue a STARTTLS command first"),
    Reason.CERTIFICATE_REQUIRED: Reply(530, "5.7.0", "A client certificate is required"),
    Reason.CERTIFICATE_WEAK: Reply(550, "5.7.1", "Certificate not acceptable"),
    Reason.CERTIFICATE_REVOKED: Reply(550, "5.7.1", "Certificate revoked"),
    Reason.REVOCATION_UNKNOWN: Reply(454, "4.7.0", "Certificate cannot be judged now, try again later"),
    Reason.CERTIFICATE_NOT_LISTED: Reply(550, "5.7.1", "Certificate is not in the trust list"),
    # trust
    Reason.TRUST_LIST_STALE: Reply(454, "4.7.0", "Trust list cannot be judged now, try again later"),
    Reason.DOMAIN_NOT_TRUSTED: Reply(550, "5.7.1", "Sending domain is not in the trust list"),
    Reason.DOMAIN_NOT_OF_CERTIFICATE: Reply(550, "5.7.1", "Sending domain does not belong to this certificate"),
    Reason.HEADER_FROM_NOT_OF_CERTIFICATE: Reply(550, "5.7.1", "From domain does not belong to this certificate"),
    # addresses
    Reason.SENDER_MALFORMED: Reply(501, "5.1.7", "Sender is not an address"),
    Reason.RECIPIENT_MALFORMED: Reply(501, "5.1.3", "Recipient is not an address"),
    Reason.RECIPIENT_OUTSIDE_TRUST_SPACE: Reply(550, "5.7.1", "Recipient is outside the trust space"),
    Reason.RECIPIENT_NOT_OURS: Reply(550, "5.7.1", "Not a domain of ours"),
    Reason.MAILBOX_UNKNOWN: Reply(550, "5.1.1", "No such mailbox"),
    Reason.MAILBOX_CLOSED: Reply(550, "5.2.1", "Mailbox closed"),
    Reason.MAILBOX_SUSPENDED: Reply(450, "4.2.1", "Mailbox suspended, try again later"),
    Reason.MAILBOX_OVER_QUOTA: Reply(452, "4.2.2", "Mailbox full, try again later"),
    Reason.TOO_MANY_RECIPIENTS: Reply(452, "4.5.3", "Too many recipients, send the rest again"),
    # submission
    Reason.AUTHENTICATION_REQUIRED: Reply(530, "5.7.0", "Authentication required"),
    Reason.AUTHENTICATION_FAILED: Reply(535, "5.7.8", "Authentication failed"),
    Reason.SENDER_NOT_OF_LOGIN: Reply(550, "5.7.1", "Not a sender address of this login"),
    Reason.FROM_NOT_SINGLE: Reply(550, "5.7.1", "Exactly one From address is required"),
    Reason.FROM_NOT_OF_LOGIN: Reply(550, "5.7.1", "From or Sender is not an address of this login"),
    Reason.PATIENTS_NAMED_TOGETHER: Reply(
        554, "5.7.1", "A patient would read another's address: send each her own message, or use Bcc for all of them"
    ),
    Reason.TOO_LARGE_FOR_RECIPIENT: Reply(552, "5.3.4", "Message too large for a recipient's operator"),
    # content
    Reason.TOO_LARGE: Reply(552, "5.3.4", "Message too large"),
    Reason.BARE_CR_OR_LF: Reply(554, "5.6.0", "Malformed message: a line does not end in CRLF"),
    Reason.NUL_BYTE: Reply(554, "5.6.0", "Malformed message: NUL"),
    Reason.LINE_TOO_LONG: Reply(554, "5.6.0", "Malformed message: a line is too long"),
    Reason.HEADERS_TOO_LARGE: Reply(554, "5.6.0", "Malformed message: header too large"),
    Reason.TOO_MANY_HEADERS: Reply(554, "5.6.0", "Malformed message: too many header fields"),
    Reason.TOO_MANY_ADDRESSES: Reply(554, "5.6.0", "Malformed message: too many addresses in a field"),
    Reason.TOO_MANY_ENCODED_WORDS: Reply(554, "5.6.0", "Malformed message: too many encoded words"),
    Reason.TOO_MANY_PARAMETERS: Reply(554, "5.6.0", "Malformed message: too many parameters"),
    Reason.TOO_DEEP: Reply(554, "5.6.0", "Malformed message: nested too deep"),
    Reason.TOO_MANY_PARTS: Reply(554, "5.6.0", "Malformed message: too many parts"),
    Reason.HEADER_MALFORMED: Reply(554, "5.6.0", "Malformed message: header cannot be read"),
    Reason.NULL_SENDER_NOT_A_REPORT: Reply(554, "5.7.1", "The empty sender is for reports to one recipient"),
    Reason.MAIL_LOOP: Reply(554, "5.7.1", "Mail loop"),
    # our side
    Reason.STORAGE_UNAVAILABLE: Reply(451, "4.3.0", "Not now, try again later"),
    Reason.DISK_FULL: Reply(452, "4.3.1", "Not enough room, try again later"),
    Reason.TOO_MANY_CONNECTIONS: Reply(421, "4.7.0", "Too many connections, try again later"),
    Reason.RATE_LIMITED: Reply(450, "4.7.0", "Too much at once, try again later"),
    Reason.SHUTTING_DOWN: Reply(421, "4.3.2", "Closing for a moment, try again later"),
}

NOT_AT_THIS_DOOR = frozenset(
    {
        # a patient's page asks it before anything is composed
        Reason.CONVERSATION_NOT_OPEN,
        # the bridge: after the 250
        Reason.PATIENT_UNKNOWN,
        Reason.INS_MISSING,
        Reason.INS_KEY_WRONG,
        Reason.INS_MISMATCH,
        Reason.NAME_UNLIKE,
        Reason.INS_FORMER,
        Reason.NOT_THE_MAILBOX,
        Reason.ANNOUNCEMENT_UNMATCHED,
        Reason.TRAITS_MISMATCH,
        Reason.TRAITS_INCOMPLETE,
        Reason.IDENTITY_NOT_QUALIFIED,
        Reason.INS_SAID_NOT_QUALIFIED,
        Reason.VERSION_WRONG,
        Reason.NOT_THE_AUTHOR,
        Reason.ARCHIVE_BROKEN,
        Reason.ARCHIVE_UNSAFE,
        Reason.METADATA_BROKEN,
        Reason.CDA_BROKEN,
        Reason.IMAGES_OF_SEVERAL,
        Reason.STATUS_CHANGE_ASKED,
        Reason.ADDENDUM_MISPLACED,
        Reason.RELATION_UNKNOWN,
        Reason.FOLDER_NOT_CARRIED_OUT,
        Reason.DICOM_BROKEN,
        Reason.HASH_MISMATCH,
        Reason.DOCUMENT_CONFLICT,
        Reason.TAKEN_OUT,
        Reason.KEPT_BACK_UNTIL_ANNOUNCED,
        Reason.FLAG_UNKNOWN,
        Reason.UNREADABLE,
        Reason.UNDECRYPTABLE,
        Reason.SIGNATURE_BROKEN,
        Reason.SIGNATURE_DOUBTFUL,
        Reason.LOOSE_DOCUMENT,
        Reason.REFUSED_BY_STAFF,
        # after the 250 too: held, and told in a notice
        Reason.VIRUS_FOUND,
        Reason.NOT_SCANNED,
        Reason.KEPT_BY_STAFF,
        Reason.PARKED,
        Reason.SINK_REFUSED,
        Reason.SINK_AWAY,
        # delivery: told in a notice, never in a reply
        Reason.UNREACHABLE,
        Reason.EXPIRED,
        Reason.PEER_UNREACHABLE,
        Reason.PEER_CERTIFICATE_WRONG,
        Reason.OUR_CERTIFICATE_REFUSED,
        Reason.PEER_REFUSED,
        Reason.NEEDS_8BIT,
        Reason.DROPPED_BY_STAFF,
    }
)
"""Reasons that no mail door ever has to tell; if one comes all the same, the neutral answers below are given."""

NEUTRAL_REFUSAL = Reply(554, "5.7.1", "Refused")
NEUTRAL_LATER = REPLIES[Reason.STORAGE_UNAVAILABLE]

OK = Reply(250, "2.0.0", "Ok")
SENDER_OK = Reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
BYE = Reply(221, "2.0.0", "Bye")
HELP = Reply(214, "2.0.0", "See RFC 5321")
CANNOT_VERIFY = Reply(252, "2.1.5", "Send some mail, I will try my best")  # RFC 5321 §3.5.3: says nothing of who exists
SIGNED_IN = Reply(235, "2.7.0", "Authentication successful")

UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
OUT_OF_ORDER = Reply(503, "5.5.1", "Bad sequence of commands")
HELLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
NO_RECIPIENT = Reply(554, "5.5.1", "No valid recipient")
BAD_LINE = Reply(500, "5.5.2", "Commands end in CRLF and hold no NUL, CR or LF")
LINE_OVERLONG = Reply(500, "5.5.2", "Command too long")
SYNTAX = Reply(501, "5.5.4", "Syntax error in argument")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
TOO_LARGE = REPLIES[Reason.TOO_LARGE]
TOO_MANY_CHUNKS = Reply(421, "4.7.0", "Too many chunks, closing")
NOT_IN_STEP = Reply(554, "5.5.0", "Message sent before our 354, closing")
ENCRYPT_FIRST = Reply(538, "5.7.11", "Encryption required, use STARTTLS")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Mechanism not offered")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
AUTH_UNREADABLE = Reply(501, "5.5.2", "Cannot decode response")
CANNOT_SIGN_IN_NOW = Reply(454, "4.7.0", "Cannot authenticate now, try again later")
SIGNED_OUT = Reply(421, "4.7.0", "Your access has changed, sign in again")
TIMEOUT = Reply(421, "4.4.2", "Timeout, closing")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_FAILURES = Reply(421, "4.7.0", "Too many failed authentications, closing")
TOO_MUCH_IDLING = Reply(421, "4.7.0", "Nothing to do, closing")
TOO_MANY_CONNECTIONS = REPLIES[Reason.TOO_MANY_CONNECTIONS]
SHUTTING_DOWN = REPLIES[Reason.SHUTTING_DOWN]


def reply_to(verdict: Verdict) -> Reply:
    """The words for a verdict. Of its detail only a line's number, or a recipient's domain and its limit are told."""
    if isinstance(verdict, Accept):
        return OK
    reply = REPLIES.get(verdict.reason)
    if isinstance(verdict, Later):
        return reply if reply and not reply.is_permanent else NEUTRAL_LATER
    if reply is None or not reply.is_permanent:
        return NEUTRAL_REFUSAL
    return (
        _with_room(reply, verdict) if verdict.reason is Reason.TOO_LARGE_FOR_RECIPIENT else _with_line(reply, verdict)
    )


def kept(number: int) -> Reply:
    """Durable, under this number."""
    return Reply(250, "2.0.0", f"Ok: {number}")


def chunk(octets: int) -> Reply:
    """Taken, not yet durable: more of this message has to come (RFC 3030 §2)."""
    return Reply(250, "2.0.0", f"{octets} octets")


def _with_room(reply: Reply, verdict: Refuse) -> Reply:
    """Which operator takes how much: a domain that the sender named, and a number."""
    domain, _, octets = verdict.detail.partition(" ")
    if not (domain and domain.isascii() and domain.isprintable() and octets.isascii() and octets.isdigit()):
        return reply
    text = f"Message too large for {domain}, which takes {int(octets) / 1_000_000:.1f} MB: send less, or in parts"
    return Reply(reply.code, reply.enhanced, text)


def _with_line(reply: Reply, verdict: Refuse) -> Reply:
    told = verdict.reason is Reason.LINE_TOO_LONG and verdict.detail.isascii() and verdict.detail.isdigit()
    return Reply(reply.code, reply.enhanced, f"Malformed message: line {verdict.detail} is too long") if told else reply
