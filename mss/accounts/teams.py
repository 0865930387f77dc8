"""Who belongs to a team, and what may each do in its mailbox? Members are added, changed and removed here alone.

A team's mailbox has no login of its own: each member signs in as themselves. A change is written in the team's and in
the member's lane at once, audited, and told to open sessions; these ask again before every command, so that who is
removed reads nothing more whether or not the word arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mss.model.clock import Clock
from mss.model.errors import BadValue
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.rights import letters_of, word_of
from mss.store import audit, changes, folders, owners, seen, subscriptions
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sql import Connection

MEMBERS_MAX = 200
"""Of one team: a hospital's switchboard has fifty."""
TEAMS = frozenset({MailboxKind.ORGANISATIONAL, MailboxKind.OFFICE})
"""Kinds of mailbox that several people may open."""
PEOPLE = frozenset({MailboxKind.PERSONAL, MailboxKind.OFFICE})


@dataclass(frozen=True, slots=True)
class TeamMember:
    """An account and its rights in the team's mailbox (letters of RFC 4314 §2.1)."""

    account: OwnerId
    letters: str


class Teams:
    """Changes who may open the mailboxes of teams."""

    def __init__(self, store: Store, bus: ChangeBus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def members(self, team: OwnerId) -> list[TeamMember]:
        rows = await self._store.read(lambda c: owners.members(c, team))
        return [TeamMember(account, letters) for account, word in rows if (letters := letters_of(word))]

    async def change(self, team: OwnerId, account: OwnerId, change: Callable[[str], str], actor: str) -> None:
        """Turn a member's letters (none: no member yet) into others; none ends it. Raises BadValue."""
        now = self._clock.now()

        def act(connection: Connection) -> None:
            owners.lock(connection, team)
            _check(connection, team, account)
            given = dict(owners.members(connection, team))
            word = given.get(account, "")
            if word and not letters_of(word):
                raise BadValue("that person has a delegation here: revoke it first")
            before, after = set(letters_of(word)), set(change(letters_of(word)))
            if before == after:
                return
            if word:
                owners.remove_member(connection, team, account, word)
            if after:
                if not before and len(given) >= MEMBERS_MAX:
                    raise BadValue(f"a team has at most {MEMBERS_MAX} members")
                owners.add_member(connection, team, account, word_of("".join(after)))
            _change_reading(connection, team, account, is_new=not before, is_gone=not after)
            kind = "member.remove" if not after else "member.change" if before else "member.add"
            told = word_of("".join(after)) if after else word
            audit.write(connection, [audit.Act(now, actor, kind, team, account, result=told)])

        await self._store.write(lane_of(team), act)
        self._bus.publish(changes.FOLDER, team)


def _check(connection: Connection, team: OwnerId, account: OwnerId) -> None:
    box, person = owners.mailbox(connection, team), owners.mailbox(connection, account)
    if box is None or box.kind not in TEAMS:
        raise BadValue("only a team's or a practice's mailbox has members; a person's is lent by mss mailbox delegate")
    if person is None or person.kind not in PEOPLE or account == team:
        raise BadValue("only another person can be a member")


def _change_reading(connection: Connection, team: OwnerId, account: OwnerId, *, is_new: bool, is_gone: bool) -> None:
    """A newcomer begins with what somebody has read; who leaves takes along what they had read."""
    if is_gone:
        seen.end(connection, team, account)
        subscriptions.end(connection, team, account)
    if is_new:
        for folder in folders.list_folders(connection, team):
            modseq = folders.touch(connection, team, folder.folder)
            seen.begin(connection, team, folder.folder, account, modseq)
