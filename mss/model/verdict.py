"""What a judge may answer, and why.

A verdict is a value; the service beside the judge acts on it and the door translates its reason.
Every `Reason` has a reply at every door that can meet it (tests walk the table).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something was not simply accepted. The value is what logs and `--json` show."""

    # the connection and the certificate
    TLS_REQUIRED = "tls-required"
    CERTIFICATE_REQUIRED = "certificate-required"
    CERTIFICATE_WEAK = "certificate-weak"
    CERTIFICATE_REVOKED = "certificate-revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"
    CERTIFICATE_NOT_LISTED = "certificate-not-listed"
    # trust
    TRUST_LIST_STALE = "trust-list-stale"
    DOMAIN_NOT_TRUSTED = "domain-not-trusted"
    DOMAIN_NOT_OF_CERTIFICATE = "domain-not-of-certificate"
    HEADER_FROM_NOT_OF_CERTIFICATE = "header-from-not-of-certificate"
    # addresses
    SENDER_MALFORMED = "sender-malformed"
    RECIPIENT_MALFORMED = "recipient-malformed"
    RECIPIENT_OUTSIDE_TRUST_SPACE = "recipient-outside-trust-space"
    RECIPIENT_NOT_OURS = "recipient-not-ours"
    MAILBOX_UNKNOWN = "mailbox-unknown"
    MAILBOX_CLOSED = "mailbox-closed"
    MAILBOX_SUSPENDED = "mailbox-suspended"
    MAILBOX_OVER_QUOTA = "mailbox-over-quota"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    # submission
    AUTHENTICATION_REQUIRED = "authentication-required"
    AUTHENTICATION_FAILED = "authentication-failed"
    SENDER_NOT_OF_LOGIN = "sender-not-of-login"
    FROM_NOT_SINGLE = "from-not-single"
    FROM_NOT_OF_LOGIN = "from-not-of-login"
    CONVERSATION_NOT_OPEN = "conversation-not-open"
    PATIENTS_NAMED_TOGETHER = "patients-named-together"
    TOO_LARGE_FOR_RECIPIENT = "too-large-for-recipient"
    # content
    TOO_LARGE = "too-large"
    BARE_CR_OR_LF = "bare-cr-or-lf"
    NUL_BYTE = "nul-byte"
    LINE_TOO_LONG = "line-too-long"
    HEADERS_TOO_LARGE = "headers-too-large"
    TOO_MANY_HEADERS = "too-many-headers"
    TOO_MANY_ADDRESSES = "too-many-addresses"
    TOO_MANY_ENCODED_WORDS = "too-many-encoded-words"
    TOO_MANY_PARAMETERS = "too-many-parameters"
    TOO_DEEP = "too-deep"
    TOO_MANY_PARTS = "too-many-parts"
    HEADER_MALFORMED = "header-malformed"
    NULL_SENDER_NOT_A_REPORT = "null-sender-not-a-report"
    MAIL_LOOP = "mail-loop"
    # our side
    STORAGE_UNAVAILABLE = "storage-unavailable"
    DISK_FULL = "disk-full"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    RATE_LIMITED = "rate-limited"
    SHUTTING_DOWN = "shutting-down"
    # the bridge: why a document is not filed by itself (ANS error codes in parentheses)
    PATIENT_UNKNOWN = "patient-unknown"  # 902
    INS_MISSING = "ins-missing"  # 903
    INS_KEY_WRONG = "ins-key-wrong"  # 903
    INS_MISMATCH = "ins-mismatch"  # 904: addressee, METADATA and CDA do not agree
    INS_FORMER = "ins-former"  # 904: it was this patient's number once
    TRAITS_MISMATCH = "traits-mismatch"  # 904
    NAME_UNLIKE = "name-unlike"  # 904: subject or file name
    IMAGES_OF_SEVERAL = "images-of-several"  # 904
    TRAITS_INCOMPLETE = "traits-incomplete"  # 905
    IDENTITY_NOT_QUALIFIED = "identity-not-qualified"  # 904
    INS_SAID_NOT_QUALIFIED = "ins-said-not-qualified"  # X-MSS-INS: N, 904
    VERSION_WRONG = "version-wrong"  # 900
    STATUS_CHANGE_ASKED = "status-change-asked"  # 900
    ADDENDUM_MISPLACED = "addendum-misplaced"  # 900
    NOT_THE_AUTHOR = "not-the-author"  # 901
    NOT_THE_MAILBOX = "not-the-mailbox"  # 901
    ARCHIVE_BROKEN = "archive-broken"  # 906
    ARCHIVE_UNSAFE = "archive-unsafe"  # 906: ZIP guard
    METADATA_BROKEN = "metadata-broken"  # 906
    RELATION_UNKNOWN = "relation-unknown"  # 906
    FOLDER_NOT_CARRIED_OUT = "folder-not-carried-out"  # 906
    CDA_BROKEN = "cda-broken"  # 906
    DICOM_BROKEN = "dicom-broken"  # 906
    HASH_MISMATCH = "hash-mismatch"  # 906
    DOCUMENT_CONFLICT = "document-conflict"  # 906: same uniqueId, other content
    TAKEN_OUT = "taken-out"  # 906: staff found that it is somebody else's
    KEPT_BACK_UNTIL_ANNOUNCED = "kept-back-until-announced"  # INVISIBLE_PATIENT
    ANNOUNCEMENT_UNMATCHED = "announcement-unmatched"  # 906
    FLAG_UNKNOWN = "flag-unknown"
    UNREADABLE = "unreadable"  # the sandbox failed on it
    LOOSE_DOCUMENT = "loose-document"
    UNDECRYPTABLE = "undecryptable"  # 906
    SIGNATURE_BROKEN = "signature-broken"  # 906
    SIGNATURE_DOUBTFUL = "signature-doubtful"  # 906: expired, revoked, another's
    REFUSED_BY_STAFF = "refused-by-staff"
    # held on its way: by the antivirus, or in the queue
    VIRUS_FOUND = "virus-found"
    NOT_SCANNED = "not-scanned"
    KEPT_BY_STAFF = "kept-by-staff"
    PARKED = "parked"
    # filed here, and owed to a hospital's own software
    SINK_REFUSED = "sink-refused"  # the code that it gave, or 906
    SINK_AWAY = "sink-away"
    # delivery
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    PEER_UNREACHABLE = "peer-unreachable"
    PEER_CERTIFICATE_WRONG = "peer-certificate-wrong"
    OUR_CERTIFICATE_REFUSED = "our-certificate-refused"
    PEER_REFUSED = "peer-refused"
    NEEDS_8BIT = "needs-8bit"
    DROPPED_BY_STAFF = "dropped-by-staff"


@dataclass(frozen=True, slots=True)
class Accept:
    """Nobody objects."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No, and asking again will not help."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now; the same question may be answered otherwise later."""

    reason: Reason
    detail: str = ""


Verdict = Accept | Refuse | Later
