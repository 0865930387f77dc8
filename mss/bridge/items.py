"""What did a correction find, and what did it make? Ids and states, kept with it, so that it can be undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mss.store.folders import NewEntry

EXPIRES_MS = 72 * 3_600_000
"""Of a proposal: a weekend and a day."""
TASK_EXPIRES = "correction-expires"
"""End a proposal that nobody confirmed, or remind of what is out of every record: payload {"correction": number}."""

TASK_REPRESENT = "correction-represent"
"""Tell a representative what became of his right: payload {"correction": number, "what": word of notices}."""


@dataclass(frozen=True, slots=True)
class DocumentItem:
    """A document as it stood. `is_older`: one that was replaced by what is taken out, and is current again."""

    number: int
    status: str
    replaced_by: int
    is_older: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stood in a folder."""

    folder: int
    flags: int
    keywords: int
    internaldate_ms: int
    size_bytes: int

    def entry(self, message: int) -> NewEntry:
        return NewEntry(message, self.flags, self.keywords, self.internaldate_ms, self.size_bytes)


@dataclass(frozen=True, slots=True)
class MessageItem:
    """A message as it stood. `brought`: it brought a document, and goes with it into the right record."""

    number: int
    state: str
    conversation: int
    brought: bool
    sent_on: bool = False
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """All of it. `moves`: (message, its number in the other mailbox), chosen before anything is moved; `corrected`: two
    people answered for an INS that is another's; `why_not`: the objection on which a correction failed."""

    documents: tuple[DocumentItem, ...] = ()
    messages: tuple[MessageItem, ...] = ()
    feeds: tuple[tuple[int, int], ...] = ()
    moves: tuple[tuple[int, int], ...] = ()
    made: tuple[int, ...] = ()
    """Documents that it made in the other record."""
    corrected: bool = False
    why_not: str = ""
    former: tuple[int, ...] = ()
    """Identities that a merge made former ones in the record that stays."""
    state: str = ""
    """Of the account that a merge ended."""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Items:
        values = json.loads(data)
        documents = tuple(DocumentItem(**one) for one in values.pop("documents"))
        messages = tuple(
            MessageItem(**one | {"places": tuple(Place(**at) for at in one["places"])})
            for one in values.pop("messages")
        )
        pairs = {name: tuple((a, b) for a, b in values[name]) for name in ("feeds", "moves")}
        lists = {name: tuple(values[name]) for name in ("made", "former")}
        return cls(**values | pairs | lists | {"documents": documents, "messages": messages})
