"""Which rows does the record have? Patients, their identities, documents, events, and what waits for a human.

The rules of schema.py hold here too.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, SmallInteger, String

from mss.store.columns import Bytes, Id, Word
from mss.store.columns import col as _col
from mss.store.columns import owned as _owned

held = _owned(
    "held",
    _col("state", Word),
    _col("message", Id),
    _col("reason", Word),
    _col("code", SmallInteger),
    _col("message_id_hmac", Bytes),
    _col("held_ms", BigInteger),
    _col("decided_ms", BigInteger, 0),
    _col("detail_sealed", Bytes),
    _col("what", Word, "message"),
    _col("domain", String(253), ""),
    _col("told", Word, ""),
    _col("told_ms", BigInteger, 0),
    Index("ix_held_state", "state", "held_ms"),
    keys=("id",),
)
"""What waits for a human. State: waiting, filed, refused, released. Detail sealed to the house's `held` key.
What: a message of the mailbox, or mail in the queue whose number `message` then is. Domain: the one of ours whose staff
hear of it. Told: who has been told that it waits, last at `told_ms`."""

patient = _owned("patient", _col("state", Word), _col("profile_sealed", Bytes))
"""A person with a record. Profile: sealed JSON under the shelf key (display name, language)."""

identity = _owned(
    "identity",
    _col("ins_hmac", Bytes),
    _col("status", Word),
    _col("source", Word),
    _col("valid_from_ms", BigInteger),
    _col("valid_until_ms", BigInteger, 0),
    _col("identity_sealed", Bytes),
    keys=("identity",),
)
"""An INS of a patient with its traits (sealed JSON under the shelf key): a number can change, the patient stays."""

document = _owned(
    "document",
    _col("status", Word),
    _col("visibility", String(120)),
    _col("unique_id_hmac", Bytes),
    _col("content_hmac", Bytes),
    _col("set_hmac", Bytes),
    _col("sent_by_hmac", Bytes),
    _col("entry_sealed", Bytes),
    _col("blob", Id),
    _col("size_bytes", BigInteger),
    _col("message", Id),
    _col("replaced_by", Id, 0),
    _col("filed_ms", BigInteger),
    _col("box", Id, 0),
    _col("box_message", Id, 0),
    Index("uq_document_unique_id", "lane", "owner", "unique_id_hmac", unique=True),
    Index("ix_document_message", "lane", "owner", "message"),
    keys=("document",),
)
"""A document of a record: its entry (XDS metadata, sealed JSON) and body under the owner's shelf key. `box` and
`box_message`: the mail of an application mailbox that brought it, 0 when it came to the patient's own."""

copy = _owned("copy", Index("ix_copy_document", "lane", "owner", "document"), keys=("message", "document"))
"""Which message brought a copy of which document, the first one and those that repeat it."""

event = _owned(
    "event",
    _col("kind", Word),
    _col("document", Id),
    _col("at_ms", BigInteger),
    _col("actor_sealed", Bytes),
    Index("ix_event_at", "lane", "owner", "at_ms"),
    Index("ix_event_document", "lane", "owner", "document", "kind"),
    keys=("id",),
)
"""Who did what with a record, as the patient reads it."""

handover = _owned(
    "handover",
    _col("sink", Word),
    _col("seq", BigInteger),
    _col("act", Word),
    _col("state", Word),
    _col("document", Id),
    _col("earlier", Id, 0),
    _col("box", Id),
    _col("message", Id),
    _col("message_id_hmac", Bytes),
    _col("created_ms", BigInteger),
    _col("next_try_ms", BigInteger),
    _col("settled_ms", BigInteger, 0),
    _col("lease_owner", Word, ""),
    _col("lease_until_ms", BigInteger, 0),
    _col("attempts", Integer, 0),
    _col("last_reason", String(200), ""),
    Index("ix_handover_due", "sink", "state", "next_try_ms"),
    Index("ix_handover_document", "lane", "owner", "document"),
    Index("uq_handover_seq", "lane", "owner", "sink", "seq", unique=True),
    keys=("id",),
)
"""A document owed to software of a hospital: one row for each act and sink, in order of `seq` for each owner.
`earlier`: the document it replaces. `box` and `message`: the mail that brought it. State: waiting, behind (what it
builds on was refused), refused, done, dropped; rows stay, since they tell a replacement from an original."""

correction = _owned(
    "correction",
    _col("kind", Word),
    _col("state", Word),
    _col("earlier", Id, 0),
    _col("other", Id, 0),
    _col("about", Id, 0),
    _col("proposed_by", String(200)),
    _col("confirmed_by", String(200), ""),
    _col("proposed_ms", BigInteger),
    _col("expires_ms", BigInteger, 0),
    _col("settled_ms", BigInteger, 0),
    _col("domain", String(253), ""),
    _col("message_id_hmac", Bytes),
    _col("items", Bytes),
    _col("detail_sealed", Bytes),
    Index("ix_correction_state", "state", "proposed_ms"),
    keys=("id",),
)
"""What staff corrected in a record, or propose to (docs/decisions/0011-corrections.md). `earlier`: the correction that
this one follows; `other`: the other record; `about`: the held thing. Items: ids and states as they were, JSON.
Detail: why, in the words of staff, sealed to the house's `held` key."""
