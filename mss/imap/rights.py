"""How much may be kept, and who may do what? QUOTA (RFC 9208) and ACL (RFC 4314), as far as a mail client may ask.

Everybody may ask for their own rights and how full a mailbox is. Who may open a mailbox and how large it is are not
decided by mail clients: nobody has the right "a", so that the rest of ACL is refused, and SETQUOTA is.
"""

from __future__ import annotations

from mss.imap import commands as c
from mss.imap import responses
from mss.imap.backend import Box
from mss.imap.replies import Declined, Problem
from mss.imap.state import Session


def told_rights(box: Box) -> str:
    """The rights of an account, with the two of old clients that stand for several (RFC 4314 §2.1.1)."""
    rights = set(box.rights)
    old = ("c" if rights & set("kx") else "") + ("d" if rights & set("te") else "")
    return box.rights + old


async def my_rights(session: Session, _tag: str, command: c.MyRights) -> str:
    folder = await session.find_folder(command.folder)
    session.wire.write(responses.my_rights(command.folder, told_rights(folder.box), utf8=session.rev2))
    return "Told"


async def acl(session: Session, _tag: str, command: c.Acl) -> str:
    """Needs the right "a" (RFC 4314 §4), which `need` refuses to everybody."""
    folder = await session.find_folder(command.folder)
    session.need(folder.box, "a")
    raise Declined(Problem.NO_PERMISSION)


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
