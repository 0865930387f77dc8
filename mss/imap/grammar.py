"""What did the client ask? One complete line with its literals becomes one frozen command, or `Bad`.

One function for each command, found by its verb; each reads its arguments in the order of RFC 9051 §9. FETCH
and SEARCH have languages of their own (mss/imap/fetchgrammar.py, mss/imap/searchgrammar.py).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable

from mss.imap import commands as c
from mss.imap.fetchgrammar import fetch
from mss.imap.foldergrammar import create, list_folders, lsub, select, status
from mss.imap.searchgrammar import search, sort, thread
from mss.imap.tokens import Bad, Cursor
from mss.model.errors import BadValue

_START = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}) (UID )?([A-Za-z0-9]+)', re.IGNORECASE)
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}(?= |\Z)')

ID_FIELDS_MAX = 30  # RFC 2971 §3.3
ID_VALUE_OCTETS_MAX = 1024  # RFC 2971 §3.3


def tag_of(line: bytes) -> str:
    """The tag under which a broken line is refused; `*` when there is none."""
    match = _TAG.match(line)
    return match[0].decode("ascii") if match else "*"


def parse(line: bytes, literals: tuple[bytes, ...] = (), *, utf8: bool = False) -> c.Tagged:
    """Read a command; blanks at its end are some clients' habit. Raises Bad; the caller answers it under
    `tag_of(line)`."""
    line = line.rstrip(b" ")
    start = _START.match(line)
    if start is None:
        raise Bad("Not a command")
    tag, uid, verb = start.groups()
    table = _UID_VERBS if uid else _VERBS
    read = table.get(verb.upper())
    if read is None:
        raise Bad("Unknown command")
    cursor = Cursor(line, literals, start.end(), utf8=utf8)
    command = read(cursor)
    cursor.end()
    return c.Tagged(tag.decode("ascii"), command)


def decode_sasl(text: bytes) -> bytes:
    """Base64 of a SASL response. Raises Bad."""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise Bad("Broken base64") from None


def plain_credentials(response: bytes) -> tuple[str, str, bytes]:
    """(authorisation id, user name, password) of SASL PLAIN (RFC 4616 §2). Raises BadValue."""
    parts = response.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise BadValue("not a PLAIN response")
    try:
        return parts[0].decode("utf-8"), parts[1].decode("utf-8"), parts[2]
    except UnicodeDecodeError:
        raise BadValue("not UTF-8") from None


_BEARER = re.compile(rb"bearer ([A-Za-z0-9._~+/=-]{1,16384})\Z", re.IGNORECASE)
_GS2_HEADER = re.compile(rb"n,(?:a=([^,\x01]{0,1024}))?,\Z")


def bearer_credentials(response: bytes) -> tuple[str, bytes]:
    """(user name or empty, token) of OAUTHBEARER (RFC 7628 §3.1) or XOAUTH2. Raises BadValue."""
    head, *pairs = response.split(b"\x01")
    if len(pairs) < 3 or pairs[-1] or pairs[-2]:
        raise BadValue("not a bearer response")
    said = dict(pair.split(b"=", 1) for pair in pairs[:-2] if b"=" in pair)
    token = _BEARER.match(said.get(b"auth", b""))
    if head.startswith(b"user="):
        name: bytes | None = head[len(b"user=") :]
    else:
        header = _GS2_HEADER.match(head)
        name = (header[1] or b"").replace(b"=2C", b",").replace(b"=3D", b"=") if header else None
    if token is None or name is None:
        raise BadValue("not a bearer response")
    try:
        return name.decode("utf-8"), token[1]
    except UnicodeDecodeError:
        raise BadValue("not UTF-8") from None


def _bare(command: c.Command) -> Callable[[Cursor], c.Command]:
    return lambda _cursor: command


def _authenticate(cursor: Cursor) -> c.Authenticate:
    cursor.space()
    mechanism = cursor.word().decode("ascii")
    if cursor.at_end():
        return c.Authenticate(mechanism, None)
    cursor.space()
    text = cursor.line[cursor.at :]
    cursor.at = len(cursor.line)
    return c.Authenticate(mechanism, b"" if text == b"=" else decode_sasl(text))  # RFC 4959 §3: "=" is empty


def _login(cursor: Cursor) -> c.Login:
    cursor.space()
    username = cursor.text("User name")
    cursor.space()
    return c.Login(username, cursor.astring())


def _enable(cursor: Cursor) -> c.Enable:
    names = []
    while not cursor.at_end():
        cursor.space()
        names.append(cursor.word().decode("ascii"))
    if not names:
        cursor.fail("Nothing to enable")
    return c.Enable(tuple(names))


def _id(cursor: Cursor) -> c.Id:
    cursor.space()
    if not cursor.sees(b"("):
        if cursor.word() != b"NIL":
            cursor.fail("NIL or ( expected")
        return c.Id()
    cursor.open()
    if cursor.skip(b")"):
        return c.Id()
    for _ in range(ID_FIELDS_MAX):
        if cursor.string() is None:
            cursor.fail("Field expected")
        cursor.space()
        if len(cursor.nstring() or b"") > ID_VALUE_OCTETS_MAX:
            cursor.fail("Value too long")
        if cursor.close():
            return c.Id()
    raise Bad("Too many fields")


def _named(make: Callable[[str], c.Command]) -> Callable[[Cursor], c.Command]:
    def read(cursor: Cursor) -> c.Command:
        cursor.space()
        return make(cursor.folder())

    return read


def _named_root(make: Callable[[str], c.Command]) -> Callable[[Cursor], c.Command]:
    def read(cursor: Cursor) -> c.Command:
        cursor.space()
        return make(cursor.text("Quota root"))

    return read


def _set_quota(cursor: Cursor) -> c.SetQuota:
    cursor.space()
    root = cursor.text("Quota root")
    cursor.space()
    cursor.open()
    if cursor.skip(b")"):
        return c.SetQuota(root)
    while True:
        cursor.word()
        cursor.space()
        cursor.number((1 << 63) - 1)
        if cursor.close():
            return c.SetQuota(root)


def _acl(act: c.AclAct, *, words: int) -> Callable[[Cursor], c.Acl]:
    """A folder and that many words: an identifier, rights (RFC 4314 §6)."""

    def read(cursor: Cursor) -> c.Acl:
        cursor.space()
        folder = cursor.folder()
        said = []
        for _ in range(words):
            cursor.space()
            try:
                said.append(cursor.astring().decode("utf-8"))
            except UnicodeDecodeError:
                cursor.fail("UTF-8 expected")
        return c.Acl(act, folder, *said)

    return read


def _rename(cursor: Cursor) -> c.Rename:
    cursor.space()
    old = cursor.folder()
    cursor.space()
    return c.Rename(old, cursor.folder())


def _append(cursor: Cursor) -> c.Append:
    cursor.space()
    folder = cursor.folder()
    cursor.space()
    flags, received_at = c.Flags(), None
    if cursor.sees(b"("):
        flags = cursor.flag_list()
        cursor.space()
    if cursor.sees(b'"'):
        received_at = cursor.date_time()
        cursor.space()
    is_binary = cursor.skip(b"~")
    return c.Append(folder, flags, received_at, cursor.literal(), is_binary)


def _uid_expunge(cursor: Cursor) -> c.Expunge:
    cursor.space()
    return c.Expunge(cursor.sequence_set())


def _store(uid: bool) -> Callable[[Cursor], c.Store]:
    def read(cursor: Cursor) -> c.Store:
        cursor.space()
        messages = cursor.sequence_set()
        cursor.space()
        unchanged_since = None
        if cursor.sees(b"("):
            cursor.open()
            if cursor.word() != b"UNCHANGEDSINCE":
                cursor.fail("Unknown modifier")
            cursor.space()
            unchanged_since = cursor.modseq()
            if not cursor.close():
                cursor.fail(") expected")
            cursor.space()
        mode = (
            c.StoreMode.ADD if cursor.skip(b"+") else c.StoreMode.REMOVE if cursor.skip(b"-") else c.StoreMode.REPLACE
        )
        item = cursor.word()
        if item not in (b"FLAGS", b"FLAGS.SILENT"):
            cursor.fail("FLAGS expected")
        cursor.space()
        flags = cursor.flag_list() if cursor.sees(b"(") else cursor.bare_flags(b"")
        return c.Store(messages, mode, flags, item == b"FLAGS.SILENT", uid, unchanged_since)

    return read


def _copy(uid: bool, move: bool) -> Callable[[Cursor], c.Copy]:
    def read(cursor: Cursor) -> c.Copy:
        cursor.space()
        messages = cursor.sequence_set()
        cursor.space()
        return c.Copy(messages, cursor.folder(), uid, move)

    return read


_VERBS: dict[bytes, Callable[[Cursor], c.Command]] = {
    b"CAPABILITY": _bare(c.Capability()),
    b"NOOP": _bare(c.Noop()),
    b"LOGOUT": _bare(c.Logout()),
    b"ID": _id,
    b"STARTTLS": _bare(c.StartTls()),
    b"AUTHENTICATE": _authenticate,
    b"LOGIN": _login,
    b"ENABLE": _enable,
    b"SELECT": select(read_only=False),
    b"EXAMINE": select(read_only=True),
    b"CREATE": create,
    b"DELETE": _named(c.Delete),
    b"RENAME": _rename,
    b"SUBSCRIBE": _named(lambda name: c.Subscribe(name, subscribed=True)),
    b"UNSUBSCRIBE": _named(lambda name: c.Subscribe(name, subscribed=False)),
    b"LIST": list_folders,
    b"LSUB": lsub,
    b"NAMESPACE": _bare(c.Namespace()),
    b"STATUS": status,
    b"GETQUOTA": _named_root(c.Quota),
    b"GETQUOTAROOT": _named(lambda name: c.Quota(name, of_folder=True)),
    b"SETQUOTA": _set_quota,
    b"MYRIGHTS": _named(c.MyRights),
    b"GETACL": _acl(c.AclAct.GET, words=0),
    b"SETACL": _acl(c.AclAct.SET, words=2),
    b"DELETEACL": _acl(c.AclAct.DELETE, words=1),
    b"LISTRIGHTS": _acl(c.AclAct.LIST, words=1),
    b"APPEND": _append,
    b"IDLE": _bare(c.Idle()),
    b"CHECK": _bare(c.Check()),
    b"CLOSE": _bare(c.Close(expunge=True)),
    b"UNSELECT": _bare(c.Close(expunge=False)),
    b"EXPUNGE": _bare(c.Expunge()),
    b"FETCH": fetch(uid=False),
    b"STORE": _store(uid=False),
    b"COPY": _copy(uid=False, move=False),
    b"MOVE": _copy(uid=False, move=True),
    b"SEARCH": search(uid=False),
    b"SORT": sort(uid=False),
    b"THREAD": thread(uid=False),
}
_UID_VERBS: dict[bytes, Callable[[Cursor], c.Command]] = {
    b"EXPUNGE": _uid_expunge,
    b"FETCH": fetch(uid=True),
    b"STORE": _store(uid=True),
    b"COPY": _copy(uid=True, move=False),
    b"MOVE": _copy(uid=True, move=True),
    b"SEARCH": search(uid=True),
    b"SORT": sort(uid=True),
    b"THREAD": thread(uid=True),
}
