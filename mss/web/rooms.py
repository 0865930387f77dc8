"""Which rooms stand behind the patient's pages? Everything that a page may ask, in one value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from mss.accounts.login import Login
from mss.accounts.passwords import Passwords
from mss.accounts.professionals import Professionals
from mss.accounts.profiles import Profiles
from mss.accounts.sessions import Sessions
from mss.accounts.slowdown import Budget
from mss.accounts.staff import StaffAccounts
from mss.bridge.corrections import Corrections
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.sinkdesk import SinkDesk
from mss.bridge.triage import Triage
from mss.crypto.keys import Lookup
from mss.directory.contests import Contests
from mss.directory.extras import Extra, Extras
from mss.directory.ours import OwnMailboxes
from mss.directory.search import Search
from mss.mail.mailboxes import PatientInbox
from mss.mail.replies import PatientReplies
from mss.model.clock import Chance, Clock
from mss.record.service import Records
from mss.sandbox.pool import Sandbox
from mss.vault.opener import Opener


class RecentForms:
    """Forms sent a moment ago, so that a second press of the button sends nothing twice. Memory of this process."""

    KEPT_MAX = 5000

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()

    def is_first(self, account: int, mark: str) -> bool:
        """Whether this form comes for the first time; from now on it has come."""
        key = (account, mark[:40])
        if not mark or key in self._seen:
            return not mark
        self._seen[key] = None
        if len(self._seen) > self.KEPT_MAX:
            self._seen.popitem(last=False)
        return True

    def forget(self, account: int, mark: str) -> None:
        """It was refused and may be sent again."""
        self._seen.pop((account, mark[:40]), None)


async def nobody_is_known(_addresses: Collection[str]) -> Mapping[str, str]:
    """Without a directory no name is verified."""
    return {}


async def nobody_has_left(_addresses: Collection[str]) -> frozenset[str]:
    """Without accounts of professionals nobody can leave."""
    return frozenset()


async def nothing_is_known(_addresses: Collection[str]) -> Mapping[str, Extra]:
    """Without a directory there is nothing beside its facts."""
    return {}


@dataclass(frozen=True, slots=True)
class DirectoryDesk:
    """What staff say of our own mailboxes, and decide about contested addresses."""

    mailboxes: OwnMailboxes
    extras: Extras
    contests: Contests


@dataclass(frozen=True, slots=True)
class Desk:
    """What stands behind the pages of the operator's people."""

    staff: StaffAccounts
    triage: Triage
    directory: Search | None = None
    corrections: Corrections | None = None
    merges: MergeDesk | None = None
    sinks: Callable[[str], SinkDesk] | None = None
    """The hand of somebody of the staff, by the name under which the audit knows him."""
    own: DirectoryDesk | None = None


@dataclass(frozen=True, slots=True)
class Surgery:
    """What stands behind the pages of professionals."""

    professionals: Professionals
    passwords: Passwords
    directory: Search
    budget: Budget
    """Of searches, by owner."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Built by assembly. `verified_names`: the directory's names for professionals' addresses, of those it knows."""

    login: Login
    sessions: Sessions
    profiles: Profiles
    opener: Opener
    inbox: PatientInbox
    replies: PatientReplies
    records: Records
    sandbox: Sandbox
    lookup: Lookup
    clock: Clock
    chance: Chance
    site_name: str
    verified_names: Callable[[Collection[str]], Awaitable[Mapping[str, str]]] = nobody_is_known
    known_names: Callable[[Collection[str]], Awaitable[Mapping[str, str]]] = nobody_is_known
    """How the directory calls whoever is behind these addresses, also what was not verified in time: a From field names
    nobody whom the directory knows."""
    gone: Callable[[Collection[str]], Awaitable[frozenset[str]]] = nobody_has_left
    """Addresses of ours whose holders can no longer answer."""
    extras: Callable[[Collection[str]], Awaitable[Mapping[str, Extra]]] = nothing_is_known
    """What is known of addresses beside the national files."""
    recent_forms: RecentForms = field(default_factory=RecentForms)
    desk: Desk | None = None
    """None: nobody of the operator signs in here."""
    surgery: Surgery | None = None
    """None: no professional signs in here."""
