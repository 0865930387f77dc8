"""What is hidden from the clients of an account that break on it? Pure.

A mail program that cannot live with an extension is cured in one place: the account says which capabilities are not
for its clients. They are then neither announced nor obeyed, after the login; before it nobody knows who speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mss.imap import commands as c

REVISION = "IMAP4REV1"
"""What no mask hides: without it there is no server."""

COMMANDS: Mapping[str, tuple[type, ...]] = {
    "ACL": (c.Acl, c.MyRights),
    "ENABLE": (c.Enable,),
    "ID": (c.Id,),
    "IDLE": (c.Idle,),
    "NAMESPACE": (c.Namespace,),
    "QUOTA": (c.Quota, c.SetQuota),
    "SORT": (c.Sort,),
    "THREAD": (c.Thread,),
}
"""Commands that exist by a capability alone."""
NEEDS: Mapping[str, tuple[str, ...]] = {
    "RIGHTS": ("ACL",),
    "LIST-MYRIGHTS": ("ACL",),
    "QRESYNC": ("CONDSTORE", "ENABLE"),
    "IMAP4REV2": ("ENABLE",),
    "CREATE-SPECIAL-USE": ("SPECIAL-USE",),
}
"""Capabilities that mean nothing without another."""


def root(capability: str) -> str:
    """SORT=DISPLAY goes with SORT, THREAD=REFERENCES with THREAD."""
    return capability.upper().partition("=")[0]


def with_dependents(masked: Iterable[str]) -> frozenset[str]:
    """What is hidden when these are."""
    hidden = {root(name) for name in masked}
    return frozenset(hidden | {name for name, needed in NEEDS.items() if hidden & set(needed)})


def visible(capabilities: Iterable[str], hidden: frozenset[str]) -> list[str]:
    """Those that are told."""
    return [one for one in capabilities if root(one) not in hidden]


def forbids(hidden: frozenset[str], command: c.Command) -> bool:
    """Whether a command belongs to something that is hidden."""
    if not hidden:
        return False
    if isinstance(command, c.Copy):
        return command.move and "MOVE" in hidden
    if isinstance(command, c.Close):
        return not command.expunge and "UNSELECT" in hidden
    if isinstance(command, c.Select):
        asks = ("CONDSTORE" if command.condstore else "", "QRESYNC" if command.resync is not None else "")
        return any(name in hidden for name in asks)
    return any(isinstance(command, COMMANDS[name]) for name in hidden & COMMANDS.keys())
