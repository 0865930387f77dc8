"""A message before its judge: opened and read, with its addressee and what names her."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from mss.bridge.facts import Identity, Label
from mss.bridge.names import Called, label_of_file, label_of_subject
from mss.bridge.reading import Reading
from mss.formats import headers
from mss.formats.parts import Part, Structure
from mss.model.ids import MailAddress, OwnerId
from mss.store.messages import StoredMessage
from mss.vault.opener import OwnerKeys

INS_HEADER = "X-MSS-INS"
NOT_QUALIFIED = "N"


@dataclass(frozen=True, slots=True)
class Feed:
    """The application mailbox to which a message came."""

    owner: OwnerId
    address: MailAddress


@dataclass(frozen=True)  # without slots: what is asked in the loop and again in the transaction is read once
class Case:
    """A message before its judge. `keys` are of the record, or of the application mailbox when no record is named."""

    keys: OwnerKeys
    stored: StoredMessage
    structure: Structure
    reading: Reading
    addressee: tuple[Identity, ...]
    content_hmacs: tuple[bytes, ...]
    sender: MailAddress | None = None
    """Accountable, of the envelope; None for the null path."""
    sent_by: bytes = b""
    """The keyed hash of that mailbox; empty for the null path."""
    sent_from: str = ""
    """The public number of the structure behind it, where it is a mailbox of this house."""
    announces: tuple[Case, ...] | None = None
    """The messages kept back that this one announces, opened; None when it announces nothing."""
    former: tuple[Identity, ...] = ()
    """Identities of hers that have ended."""
    targets: dict[str, int] = field(default_factory=dict)
    """Entry ids of documents of the record that archives name, with their numbers."""
    feed: Feed | None = None
    """None: it came to the patient herself."""
    checked_by_two: bool = False
    """Two people of the staff say that it is this patient's."""
    moved: bool = False
    """Staff bring it from another record."""
    corrected: bool = False
    """Two people chose this record for it, though its INS is another's (mss/bridge/correcting.py)."""

    @property
    def box(self) -> str:
        """The address of the application mailbox that it came to; empty for a patient's own."""
        return str(self.feed.address) if self.feed else ""

    @property
    def mailbox_owner(self) -> OwnerId:
        """In whose mailbox the message lies."""
        return self.feed.owner if self.feed else self.keys.owner

    @property
    def fed(self) -> tuple[int, int]:
        """(owner, message) of the application mailbox that it came to; noughts when it came to the patient herself."""
        return (self.feed.owner, self.stored.message) if self.feed else (0, 0)

    @property
    def own_message(self) -> int:
        """The message's number in the mailbox of the record's owner; 0 when it came elsewhere."""
        return 0 if self.feed else self.stored.message

    @cached_property
    def said_not_qualified(self) -> bool:
        """`X-MSS-INS: N`, in this message or in one that it forwards."""
        return any((part.header(INS_HEADER) or "").strip().upper() == NOT_QUALIFIED for part in self._messages)

    @cached_property
    def _messages(self) -> tuple[Part, ...]:
        """The roots of this message and of those inside it."""
        inner = (part.message for part in self.structure.root.walk())
        return (self.structure.root, *(one for one in inner if one is not None))

    @cached_property
    def message_id(self) -> str:
        return next(iter(headers.parse_message_ids(self.structure.header("Message-ID") or "")), "")

    @cached_property
    def sender_name(self) -> str:
        """Who sent it, as From shows."""
        shown = headers.parse_addresses(self.structure.header("From") or "")
        return (shown[0].name or shown[0].address) if shown else ""

    @cached_property
    def subject(self) -> str:
        return headers.decode_words(self.structure.header("Subject") or "")

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The words that should name the patient. A report's are those of the mail that it is about."""
        is_talk = self.feed is not None and not self.reading.documents  # of a patient, among professionals
        if is_talk or self.structure.root.content_type == "multipart/report":
            return ()
        subjects = (headers.decode_words(one.header("Subject") or "") for one in self._messages)
        told = [Label("subject", label_of_subject(subject)) for subject in subjects]
        told += [Label("file name", label_of_file(name)) for name in self.reading.file_names]
        return tuple(label for label in told if label.text)

    @cached_property
    def called(self) -> tuple[Called, ...]:
        """What the patient may be called: as we know her, and with the names in use that her documents tell."""
        names = [document.used_name for document in self.reading.documents]
        used = [name for name, _ in names], [given for _, given in names]
        return tuple(
            Called(
                tuple(filter(None, (one.traits.birth_name, *used[0]))),
                tuple(filter(None, (*one.traits.given_names, *used[1]))),
                one.traits.birth_date,
            )
            for one in (*self.addressee, *self.former)
        )
