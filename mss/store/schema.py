"""Which rows exist? The tables of the cellar, and nothing that touches them.

Rules (docs/decisions/0002-cellar.md): every owned table's key begins with `lane, owner`; nothing is shared
between owners; in clear are only ids, kinds, states, counters, flags, sizes, moments, keyed hashes and next-hop
domains. Columns ending in `_sealed` hold ciphertext; in `_hmac` a keyed hash; in `_ms` milliseconds since 1970 UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, String, Table

from mss.store.columns import Bytes, Id, Word
from mss.store.columns import col as _col
from mss.store.columns import key as _key
from mss.store.columns import metadata as metadata
from mss.store.columns import owned as _owned

house = Table("house", metadata, Column("name", Word, primary_key=True), _col("value", Bytes))
"""Facts of the installation: number of lanes, key check values."""

lookup = Table(
    "lookup",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("hmac", Bytes, primary_key=True),
    _col("owner", Id),
    _col("way", SmallInteger, 0),
    sqlite_with_rowid=False,
)
"""The one way from an address, a login or an INS to its owner. The lane comes from the hash. `way`: 0 open, 1 mail
arrives but nobody writes under it (a previous address), 2 retired. Rows stay for ever: nobody else gets the address."""

mailbox = _owned(
    "mailbox",
    _col("kind", Word),
    _col("state", Word),
    _col("address_hmac", Bytes),
    _col("address_sealed", Bytes),
    _col("public_key", Bytes),
    _col("private_key_wrapped", Bytes),
    _col("quota_bytes", BigInteger, 0),
    _col("used_bytes", BigInteger, 0),
    _col("next_uidvalidity", BigInteger, 1),
    _col("created_ms", BigInteger),
    _col("structure", Word, ""),
    _col("absent_from_ms", BigInteger, 0),
    _col("absent_until_ms", BigInteger, 0),
    _col("fullness_told", SmallInteger, 0),
)
"""One row for each owner: a mailbox, or a patient (whose record hangs from the same owner).
Structure: the public number (FINESS, SIRET) of the organisation behind a team's or software's mailbox.
`fullness_told`: the per cent of its quota of which its holder was told last (mss/notices/fullness.py)."""

alias = _owned(
    "alias",
    _col("address_hmac", Bytes),
    _col("address_sealed", Bytes),
    _col("way", SmallInteger),
    _col("added_ms", BigInteger),
    _col("retired_ms", BigInteger, 0),
    keys=("alias",),
)
"""Other addresses of a mailbox, as `lookup` leads to it."""

absence = _owned("absence", _col("period", Id), _col("absence_sealed", Bytes))
"""What an absent holder wants senders to be told, sealed; its dates stand in `mailbox`, where delivery reads them."""

peer_room = Table(
    "peer_room",
    metadata,
    Column("domain", String(253), primary_key=True),
    _col("octets", BigInteger),
    _col("learned_ms", BigInteger),
)
"""How large a message the servers of a domain take, as they said when we last delivered there."""

absence_told = _owned("absence_told", keys=("correspondent",))
"""Who was told of the present absence: a number made from keyed hashes of period and address."""

member = _owned("member", _col("rights", Word), keys=("account",))
"""Who may open a team mailbox (rights: mss/model/rights.py) or a child's space, or (rights `writes`) write in its name
without opening it: account is an owner too."""

membership = _owned("membership", _col("rights", Word), keys=("of_owner",))
"""The same seen from the account: owner is the account, of_owner what it may open."""

account = _owned(
    "account",
    _col("kind", Word),
    _col("state", Word),
    _col("login_hmac", Bytes),
    _col("totp_wrapped", Bytes, null=True),
    _col("totp_last_step", BigInteger, 0),
    _col("failures", Integer, 0),
    _col("locked_until_ms", BigInteger, 0),
    _col("code_budget_ms", BigInteger, 0),
    _col("masked", String(200), ""),
)
"""Who signs in. `masked`: what the IMAP door does not offer its clients, words with blanks between.
`code_budget_ms`: when all tries at one-time codes will be there again (mss/accounts/login.py).
For people and software of this issue the account is the owner of a mailbox."""

staff = _owned("staff", _col("profile_wrapped", Bytes), _col("domain", String(253), ""), _col("created_ms", BigInteger))
"""Who decides about what is held. Domain: the one of ours whose held mail they see; empty: all of it."""

credential = _owned(
    "credential",
    _col("kind", Word),
    _col("verifier", Bytes),
    _col("created_ms", BigInteger),
    _col("last_used_ms", BigInteger, 0),
    keys=("credential",),
)
"""Password hashes (argon2), application passwords, certificate names (keyed hash)."""

session = Table(
    "session",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("token_hmac", Bytes, primary_key=True),
    _col("account", Id),
    _col("created_ms", BigInteger),
    _col("expires_ms", BigInteger),
    _col("seen_ms", BigInteger),
    _col("level", Word),
    _col("data_wrapped", Bytes),
    sqlite_with_rowid=False,
)
"""Web sessions; the cookie's token is kept only as a keyed hash."""

folder = _owned(
    "folder",
    _col("name_sealed", Bytes),
    _col("name_hmac", Bytes),
    _col("special_use", Word, ""),
    _col("uidvalidity", BigInteger),
    _col("uidnext", BigInteger, 1),
    _col("highestmodseq", BigInteger, 1),
    _col("n_msg", Integer, 0),
    _col("n_unseen", Integer, 0),
    _col("bytes", BigInteger, 0),
    _col("subscribed", Boolean, "true"),
    _col("recent_uid", BigInteger, 1),
    _col("vanished_floor", BigInteger, 0),
    _col("resumed_modseq", BigInteger, 0),
    Index("uq_folder_name", "lane", "owner", "name_hmac", unique=True),
    keys=("folder",),
)
"""From `recent_uid` on no client has been told of a message (\\Recent, RFC 3501 §2.3.2). What vanished up to
`vanished_floor` (a modseq) is no longer remembered. `resumed_modseq`: see store/powercut.py."""

subscription = _owned(
    "subscription",
    _col("name_sealed", Bytes),
    _col("name_hmac", Bytes),
    Index("uq_subscription_name", "lane", "owner", "name_hmac", unique=True),
    keys=("folder",),
)
"""Names that stay subscribed though their folder is gone (RFC 9051 §6.3.7), sealed under its old number."""

member_subscription = _owned("member_subscription", _col("is_subscribed", Boolean), keys=("account", "folder"))
"""In a team's mailbox: which folders a member wants listed; where one has no row, the folder's own mark holds."""

entry = _owned(
    "entry",
    _col("message", Id),
    _col("modseq", BigInteger),
    _col("flags", Integer, 0),
    _col("kw", BigInteger, 0),
    _col("internaldate_ms", BigInteger),
    _col("savedate_ms", BigInteger),
    Index("ix_entry_modseq", "lane", "owner", "folder", "modseq"),
    Index("ix_entry_message", "lane", "owner", "message"),
    keys=("folder", "uid"),
)
"""A message in a folder: what IMAP numbers."""

keyword = _owned(
    "keyword",
    _col("name_sealed", Bytes),
    _col("name_hmac", Bytes),
    Index("uq_keyword_name", "lane", "owner", "folder", "name_hmac", unique=True),
    keys=("folder", "bit"),
)

seen = _owned(
    "seen",
    _col("modseq", BigInteger),
    _col("is_seen", Boolean),
    Index("ix_seen_modseq", "lane", "owner", "folder", "account", "modseq"),
    keys=("folder", "account", "uid"),
)
"""In a mailbox of several readers: what each has read. Where one has no row, the flag of the entry holds."""

vanished = _owned(
    "vanished", _col("uid_hi", BigInteger), _col("at_ms", BigInteger, 0), keys=("folder", "modseq", "uid_lo")
)
"""Ranges of uids that left a folder (QRESYNC, RFC 7162), kept for a while (mss/store/folders.py: VANISHED_KEPT_MS)."""

unanswered = _owned(
    "unanswered",
    _col("patient_hmac", Bytes),
    _col("links", Bytes),
    _col("since_ms", BigInteger),
    Index("ix_unanswered_patient", "lane", "owner", "patient_hmac"),
    keys=("message",),
)
"""A patient's message that nobody has answered. Links: keyed hashes of its Message-ID and of those that it answers."""

message = _owned(
    "message",
    _col("size_bytes", BigInteger),
    _col("key_epoch", Id),
    _col("summary_sealed", Bytes),
    _col("render_version", SmallInteger, 1),
    _col("message_id_hmac", Bytes),
    _col("blob", Id),
    _col("state", Word),
    _col("direction", SmallInteger, 0),
    _col("conversation", Id, 0),
    _col("received_ms", BigInteger),
    Index("ix_message_message_id", "lane", "owner", "message_id_hmac"),
    Index("ix_message_conversation", "lane", "owner", "conversation"),
    keys=("message",),
)
"""`key_epoch` 0 means the owner's shelf key. Direction: 0 in, 1 out.
State: visible, pending (the bridge has not judged), held, kept-back, obeyed (a withdrawal), refused."""

conversation = _owned(
    "conversation",
    _col("contact_hmac", Bytes),
    _col("last_ms", BigInteger),
    _col("n_msg", Integer, 0),
    _col("n_unread", Integer, 0),
    Index("ix_conversation_last", "lane", "owner", "last_ms"),
    keys=("conversation",),
)

contact = _owned(
    "contact",
    _col("contact_hmac", Bytes),
    _col("is_open", Boolean),
    _col("contact_sealed", Bytes),
    _col("opened_ms", BigInteger),
    _col("closed_ms", BigInteger, 0),
    Index("uq_contact_hmac", "lane", "owner", "contact_hmac", unique=True),
    keys=("contact",),
)
"""Whom a patient may answer: sealed JSON of address, name, and who closed it."""

blob = _owned(
    "blob",
    _col("size_bytes", BigInteger),
    _col("place", Word, ""),
    _col("inline", Bytes, null=True),
    keys=("blob",),
)
"""Ciphertext in frames of 64 KiB: inline, or at `place` in the body store."""

orphan = _owned("orphan", _col("marked_ms", BigInteger), keys=("what", "number"))
"""What nobody seems to need, since when (mss/store/housekeeping.py). `what`: 1 a body in the body store without a row
in `blob`, 2 a message in no folder."""

sealed_key = _owned("sealed_key", _col("scheme", SmallInteger), _col("key", Bytes), keys=("epoch",))
"""An intake key. Scheme 1: sealed to the owner's public key; 2: wrapped under the owner's shelf key (resealed)."""

received = Table(
    "received",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _key("owner"),
    Column("digest", Bytes, primary_key=True),
    _col("message", Id),
    _col("until_ms", BigInteger),
    sqlite_with_rowid=False,
)
"""Deduplication: the same certificate, sender, recipient and bytes within five days are one message."""

imported = Table(
    "imported",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _key("owner"),
    Column("source", Bytes, primary_key=True),
    Column("content", Bytes, primary_key=True),
    _key("nth"),
    _col("place", Bytes),
    _col("at_ms", BigInteger),
    sqlite_with_rowid=False,
)
"""What was brought from another server (mss/store/imported.py): its folder there, its bytes, which of equal ones, and
where it lay, all but `nth` as keyed hashes. Kept, so that whoever imports again finds nothing doubled."""

fetched = Table(
    "fetched",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _key("owner"),
    Column("source", Bytes, primary_key=True),
    _key("validity"),
    _key("uid"),
    _col("content", Bytes),
    _col("message", Id),
    _col("outcome", Word, ""),
    _col("marked", Word, ""),
    _col("at_ms", BigInteger),
    Index("ix_fetched_content", "lane", "owner", "source", "content"),
    Index("ix_fetched_message", "lane", "owner", "message"),
    sqlite_with_rowid=False,
)
"""What was fetched from a mailbox at another operator (mss/store/fetched.py): its folder and bytes as keyed hashes, its
number there, its message here (0: not taken), what became of it, and which mark it bears over there."""

queue = _owned(
    "queue",
    _col("next_hop", String(253)),
    _col("state", Word),
    _col("envelope_sealed", Bytes),
    _col("body_key_sealed", Bytes),
    _col("blob", Id),
    _col("message_id_hmac", Bytes),
    _col("created_ms", BigInteger),
    _col("next_try_ms", BigInteger),
    _col("expires_ms", BigInteger),
    _col("lease_owner", Word, ""),
    _col("lease_until_ms", BigInteger, 0),
    _col("attempts", Integer, 0),
    _col("last_reason", String(200), ""),
    _col("delay_told", SmallInteger, 0),
    Index("ix_queue_due", "lane", "state", "next_try_ms"),
    keys=("id",),
)
"""Mail waiting to leave, one row for each next hop and message. State: waiting, held, sent, failed."""

task = _owned(
    "task",
    _col("kind", Word),
    _col("state", Word),
    _col("payload", Bytes),
    _col("due_ms", BigInteger),
    _col("lease_owner", Word, ""),
    _col("lease_until_ms", BigInteger, 0),
    _col("attempts", Integer, 0),
    _col("last_reason", String(200), ""),
    Index("ix_task_due", "lane", "state", "due_ms"),
    keys=("id",),
)
"""Duties. The payload holds ids in clear JSON, or content sealed to the house's `tasks` key."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _col("seq", BigInteger),
    _col("digest", Bytes),
)

audit = Table(
    "audit",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _key("seq"),
    _col("previous", Bytes),
    _col("digest", Bytes),
    _col("at_ms", BigInteger),
    _col("actor", String(200)),
    _col("act", Word),
    _col("owner", Id),
    _col("object", Id),
    _col("message_id_hmac", Bytes),
    _col("result", String(200)),
    Index("ix_audit_message_id", "message_id_hmac"),
    sqlite_with_rowid=False,
)
"""One hash chain for each lane. Rows hold ids and reasons only."""

indicator = Table(
    "indicator",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("what", Word, primary_key=True),
    Column("peer", String(120), primary_key=True),
    Column("box", Word, primary_key=True),
    Column("structure", Word, primary_key=True),
    Column("cda", Word, primary_key=True),
    Column("ins", Word, primary_key=True),
    _col("n", BigInteger),
    sqlite_with_rowid=False,
)
"""Sums by day (20260105), without owner or message. Lane -1 holds what was folded (store/indicators.py)."""

counted = Table(
    "counted",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    _col("seq", BigInteger),
    sqlite_with_rowid=False,
)
"""How far each audit chain has been counted."""
