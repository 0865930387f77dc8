"""What do STORE, APPEND and COPY make of the marks of a message? Pure."""

from __future__ import annotations

from mss.imap.backend import Folder
from mss.imap.commands import StoreMode
from mss.imap.takings import Signs, TeamChange
from mss.model.mailbox import SpecialUse
from mss.store.states import Change, FlagChange


def change_of(mode: StoreMode, system: int, keywords: int) -> FlagChange:
    match mode:
        case StoreMode.ADD:
            return FlagChange(add=system, add_kw=keywords)
        case StoreMode.REMOVE:
            return FlagChange(remove=system, remove_kw=keywords)
        case StoreMode.REPLACE:
            return FlagChange(add=system, add_kw=keywords, replace=True)


def signed(change: FlagChange, signs: Signs | None) -> Change:
    """In a team's mailbox with the member's name, where one belongs."""
    return change if signs is None else TeamChange(change, signs)


def is_news(folder: Folder) -> bool:
    """What a member brings into a team's folder others have not read; what somebody of it wrote is no news to them."""
    return bool(folder.box.reader) and folder.special_use not in (SpecialUse.SENT, SpecialUse.DRAFTS)
