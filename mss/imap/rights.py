"""How much may be kept, and who may do what? QUOTA (RFC 9208) and ACL (RFC 4314), as far as a mail client may ask.

Everybody may ask for their own rights and how full a mailbox is. Who may open a team's mailbox is for those of its
members who have the right "a" (and for staff); one's own mailbox is opened to nobody by mail client, and SETQUOTA is
refused. Rights are those of the whole mailbox: they are told of each folder and changed on its INBOX.
"""

from __future__ import annotations

from collections.abc import Callable

from mss.imap import commands as c
from mss.imap import responses
from mss.imap.backend import Box
from mss.imap.names import INBOX
from mss.imap.replies import Declined, Problem
from mss.imap.state import Session
from mss.model.errors import BadValue
from mss.model.rights import ALL_RIGHTS, parse_letters


def told_rights(box: Box) -> str:
    """The rights of an account, with the two of old clients that stand for several (RFC 4314 §2.1.1)."""
    return _with_old(box.rights)


def _with_old(letters: str) -> str:
    old = ("c" if set(letters) & set("kx") else "") + ("d" if set(letters) & set("te") else "")
    return letters + old


async def my_rights(session: Session, _tag: str, command: c.MyRights) -> str:
    folder = await session.find_folder(command.folder)
    session.wire.write(responses.my_rights(command.folder, told_rights(folder.box), utf8=session.rev2))
    return "Told"


async def acl(session: Session, _tag: str, command: c.Acl) -> str:
    """All four need the right "a" (RFC 4314 §4)."""
    folder = await session.find_folder(command.folder)
    session.need(folder.box, "a")
    if session.members is None:
        raise Declined(Problem.NO_PERMISSION)
    match command.act:
        case c.AclAct.GET:
            known = [(one.address, _with_old(one.rights)) for one in await session.members.members(folder.box)]
            session.wire.write(responses.acl(command.folder, known, utf8=session.rev2))
        case c.AclAct.LIST:
            session.wire.write(responses.list_rights(command.folder, command.identifier, ALL_RIGHTS, utf8=session.rev2))
        case c.AclAct.SET | c.AclAct.DELETE:
            if folder.name != INBOX:
                raise Declined(Problem.RIGHTS_OF_WHOLE)
            change = _change(command.rights) if command.act is c.AclAct.SET else lambda _letters: ""
            if not await session.members.change(folder.box, command.identifier, change):
                raise Declined(Problem.NO_SUCH_MEMBER)
            await session.check_rights()
    return "Done"


def _change(text: str) -> Callable[[str], str]:
    """What SETACL does to the letters somebody has (RFC 4314 §3.1). Raises Declined."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    try:
        letters = parse_letters(text.removeprefix(sign))
    except BadValue:
        raise Declined(Problem.RIGHT_UNKNOWN) from None
    if sign == "+":
        return lambda before: before + letters
    if sign == "-":
        return lambda before: "".join(letter for letter in before if letter not in letters)
    return lambda _before: letters


async def quota(session: Session, _tag: str, command: c.Quota) -> str:
    if command.of_folder:
        folder = await session.find_folder(command.name)
        session.wire.write(responses.quota_roots(command.name, folder.box.address, utf8=session.rev2))
        box: Box | None = folder.box
    else:
        box = next((box for _, box in session.boxes() if box.address == command.name), None)
    if box is None:
        raise Declined(Problem.NO_SUCH_ROOT)
    used_bytes, limit_bytes = await session.store.quota(box)
    session.wire.write(responses.quota(box.address, used_bytes, limit_bytes))
    return "Told"


async def set_quota(_session: Session, _tag: str, _command: c.SetQuota) -> str:
    raise Declined(Problem.NO_PERMISSION)
