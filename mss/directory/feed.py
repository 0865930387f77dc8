"""Which trust list and which revocation lists do we go by now?

Keeps the last good one in memory and looks for a newer one when asked to `refresh`. A new trust list replaces the
old only when it is whole, signed by whom we expect, not older, not from the future, and not suddenly much shorter;
otherwise the old one stays until it is too old to judge by. With no good list at all nobody is trusted.

`refresh` reads and computes (a quarter of a second of CPU for the national list): call it from a thread. What it
publishes is immutable and exchanged in one assignment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from mss.crypto.certs import path_to_root
from mss.crypto.revocation import (
    LIST_BYTES_MAX,
    ListsAndAnswers,
    RevocationLists,
    Revocations,
    RevocationStatus,
    read_list,
)
from mss.crypto.xmlsig import SignatureRefused, verify_enveloped
from mss.directory.responders import REST_S, Responders, ask_and_wait
from mss.directory.sources import Kept, Source
from mss.directory.trust import CLOCK_SKEW_S_MAX, ListFacts, TrustView
from mss.formats import trustlist
from mss.model.clock import Clock
from mss.model.errors import BadValue

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """How old a list may be, and how much may vanish from one list to the next."""

    age_s_alarm: float = 24 * HOUR_S
    """The list is renewed daily: a day without a new one wants a human."""
    age_s_max: float = 48 * HOUR_S
    """Our own choice, since the rule of the référentiel is not public: a weekend's outage needs the alarm, not luck."""
    shrink_share_max: float = 0.2
    """Domains that may vanish at once. Operators merge, but a fifth of all hospitals does not leave in a night."""


class Problem(StrEnum):
    """Why a new list was not taken. The value is what logs and `--json` show."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    NOT_SIGNED_AS_EXPECTED = "not-signed-as-expected"
    SIGNER_REVOKED = "signer-revoked"
    SIGNER_UNKNOWN = "signer-unknown"
    """Its authority's responder is to be asked and nobody can tell: asked again by itself, within minutes."""
    MALFORMED = "malformed"
    EMPTY = "empty"
    OLDER = "older"
    FROM_THE_FUTURE = "from-the-future"
    SHRUNK = "shrunk"
    NOT_KEPT = "not-kept"
    """Taken, but it could not be written down for the next start."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a look for a new list brought: whether one was taken, else why not (None: nothing new)."""

    taken: bool
    problem: Problem | None = None
    detail: str = ""


class _Rejected(Exception):
    def __init__(self, problem: Problem, detail: str = "") -> None:
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ListTrust:
    """Whose signature on a list counts: authorities, and the names (CN or alternative name) that may sign."""

    roots: Sequence[x509.Certificate]
    intermediates: Sequence[x509.Certificate]
    signers: Collection[str]


class TrustFeed:
    """The trust list of this process. Before the first `refresh` it has none."""

    def __init__(
        self,
        source: Source,
        trust: ListTrust,
        clock: Clock,
        limits: FeedLimits = FeedLimits(),
        *,
        kept: Kept | None = None,
        revocations: Callable[[], RevocationLists] = RevocationLists,
        responders: Responders | None = None,
    ) -> None:
        """`kept`: where the last good list outlives this process. No older one is taken after a restart.

        `revocations`: what is known of certificates taken back; a signer among them signs nothing any more. That
        nothing is known of it is no obstacle by itself: lists drop certificates that expired, and a trust list may
        outlive its signer.

        `responders`: asked about the signer of each list that is new to this house, where the operator wants
        responders asked. Then a list whose signer counts today and of whom nobody can tell is not taken yet.
        """
        self._source = source
        self._trust = trust
        self._clock = clock
        self._limits = limits
        self._kept = kept
        self._recalled = b""
        self._revocations = revocations
        self._responders = responders
        self._pending = b""
        self._pending_next_s = 0.0
        self._mark: str | None = None
        self._view: TrustView | None = None
        self.unreadable_entries = 0
        self.last = Refresh(taken=False)

    @property
    def view(self) -> TrustView | None:
        """The list to show to people; judges take `facts`, which know its age."""
        return self._view

    @property
    def facts(self) -> ListFacts:
        """The list with its age at this moment, for the judge."""
        view = self._view
        age_s = self._age_s(view.generated_at) if view else 0.0
        return ListFacts(view, age_s, self._limits.age_s_max)

    @property
    def wants_attention(self) -> bool:
        """Time to wake somebody: no list, an old one, or one that was refused."""
        view = self._view
        return (
            view is None or self._age_s(view.generated_at) > self._limits.age_s_alarm or self.last.problem is not None
        )

    def refresh(self, *, accept_shrink: bool = False) -> Refresh:
        """Look for a newer list and take it when it is good. `accept_shrink`: a human has looked at the loss."""
        octets: bytes | None = None
        try:
            self.recall()
            octets = self._new(None if accept_shrink else self._mark)
            if octets is None:
                return Refresh(taken=False, problem=self.last.problem, detail=self.last.detail)
            if self._recalled == hashlib.sha256(octets).digest():  # verified just now
                self._recalled, self.last = b"", Refresh(taken=False)
                return self.last
            self._take(octets, accept_shrink=accept_shrink)
            self.last = Refresh(taken=True)
            self._keep(octets)
        except OSError as problem:
            self.last = Refresh(taken=False, problem=Problem.UNREADABLE, detail=problem.strerror or "")
        except _Rejected as rejected:
            if rejected.problem is Problem.FROM_THE_FUTURE:
                self._mark = None  # time may make it good
            if rejected.problem is Problem.SIGNER_UNKNOWN:  # its responder may; the source says nothing new till then
                self._pending, self._pending_next_s = octets or b"", self._clock.monotonic_s() + REST_S
            self.last = Refresh(taken=False, problem=rejected.problem, detail=rejected.detail)
        return self.last

    def _new(self, known_mark: str | None) -> bytes | None:
        """What the source has, or what waits for an answer about its signer and may be asked about again."""
        fetched = self._source.fetch(known_mark, trustlist.BYTES_MAX)
        if fetched is not None:
            self._mark, self._pending = fetched.mark, b""  # a bad file is not verified again until it changes
            return fetched.octets
        if self._pending and self._clock.monotonic_s() >= self._pending_next_s:
            waiting, self._pending = self._pending, b""
            return waiting
        return None

    def _keep(self, octets: bytes) -> None:
        if self._kept is None:
            return
        try:
            self._kept.write(octets)
        except OSError as problem:  # we go by it all the same; after a restart we could not
            self.last = Refresh(taken=True, problem=Problem.NOT_KEPT, detail=problem.strerror or "")

    def recall(self) -> None:
        """Begin with what was kept, when there is no list yet. What is no good list any more is no list."""
        if self._view is not None or self._kept is None or (octets := self._kept.read()) is None:
            return
        with suppress(_Rejected):
            self._take(octets, accept_shrink=False)
            self._recalled = hashlib.sha256(octets).digest()

    def _take(self, octets: bytes, *, accept_shrink: bool) -> None:
        listing = self._read(octets)
        if not listing.entries:
            raise _Rejected(Problem.EMPTY, f"{listing.unreadable} unreadable entries")
        if self._age_s(listing.generated_at) < -CLOCK_SKEW_S_MAX:
            raise _Rejected(Problem.FROM_THE_FUTURE, listing.generated_at.isoformat())
        if (newest := self._newest()) is not None and listing.generated_at < newest:
            raise _Rejected(Problem.OLDER, listing.generated_at.isoformat())
        view = TrustView(listing)
        if self._view is not None and not accept_shrink:
            lost = sum(1 for domain in self._view.domains if not view.is_trusted(domain))
            if lost > self._limits.shrink_share_max * len(self._view) and not self._is_kept(octets):
                raise _Rejected(Problem.SHRUNK, f"{lost} of {len(self._view)} domains gone")
        self.unreadable_entries = listing.unreadable
        self._view = view

    def _newest(self) -> datetime | None:
        """Of the lists that were ever taken, here or by another process; the kept one tells also when it can no
        longer be used, because its signer was taken back, say."""
        moments = [] if self._view is None else [self._view.generated_at]
        if self._kept is not None and (kept := self._kept.read()) is not None:
            with suppress(BadValue):
                moments.append(trustlist.generated_at(kept))
        return max(moments, default=None)

    def _is_kept(self, octets: bytes) -> bool:
        """Another process took it: there a human has looked at the loss."""
        return self._kept is not None and self._kept.read() == octets

    def _read(self, octets: bytes) -> trustlist.TrustList:
        if len(octets) > trustlist.BYTES_MAX:
            raise _Rejected(Problem.TOO_LARGE)
        try:
            verified = verify_enveloped(
                octets,
                trusted_roots=self._trust.roots,
                intermediates=self._trust.intermediates,
                signers=self._trust.signers,
                at=trustlist.generated_at,
            )
        except SignatureRefused as refused:
            raise _Rejected(Problem.NOT_SIGNED_AS_EXPECTED, str(refused)) from None
        self._check_signer(verified.signer, is_new=not self._is_kept(octets))
        try:
            return trustlist.parse(verified.content)
        except BadValue as broken:
            raise _Rejected(Problem.MALFORMED, str(broken)) from None

    def _check_signer(self, signer: x509.Certificate, *, is_new: bool) -> None:
        """Taken back? Of a list that was taken before nobody is asked: a restart does not wait for a responder.

        The responder of a certificate that is over may have forgotten it, as lists do.
        """
        path = path_to_root(signer, (*self._trust.roots, *self._trust.intermediates))
        now, asked = self._clock.now(), self._responders if is_new else None
        if asked is not None:
            ask_and_wait(asked, path or ())
        status = self._known_revocations().status(path, now)
        if status is RevocationStatus.REVOKED:
            raise _Rejected(Problem.SIGNER_REVOKED)
        is_unknown = status is RevocationStatus.UNKNOWN and now <= signer.not_valid_after_utc
        if asked is not None and is_unknown:
            raise _Rejected(Problem.SIGNER_UNKNOWN, ", ".join(sorted(set(asked.trouble.values()))))

    def _known_revocations(self) -> Revocations:
        lists = self._revocations()
        return lists if self._responders is None else ListsAndAnswers(lists, self._responders.answers)

    def _age_s(self, generated_at: datetime) -> float:
        return (self._clock.now() - generated_at).total_seconds()


class RevocationFeed:
    """The revocation lists of this process: one file for each authority, replaced by somebody else.

    The last good list of each stays until its own end (ANS ECO.1.1.7 wants it so when the source is down).
    """

    def __init__(
        self,
        sources: Sequence[Source],
        authorities: Sequence[x509.Certificate],
        kept: Sequence[Kept | None] = (),
    ) -> None:
        """`kept`: for each source where its last good list outlives this process, if anywhere."""
        self._sources = sources
        self._kept = kept or [None] * len(sources)
        self._authorities = authorities
        self._marks: list[str | None] = [None] * len(sources)
        self.current = RevocationLists()

    def refresh(self) -> tuple[str, ...]:
        """Read what changed; answer what could not be used."""
        self.recall()
        problems: list[str] = []
        read = []
        for number, source in enumerate(self._sources):
            try:
                fetched = source.fetch(self._marks[number], LIST_BYTES_MAX)
                if fetched is None:
                    continue
                self._marks[number] = fetched.mark
                read.append(read_list(fetched.octets, self._authorities))
                if (kept := self._kept[number]) is not None:
                    kept.write(fetched.octets)
            except OSError as problem:
                problems.append(f"list {number + 1}: {problem.strerror}")
            except BadValue as broken:
                problems.append(f"list {number + 1}: {broken}")
        if read:
            self.current = self.current.with_lists(read)
        return tuple(problems)

    def recall(self) -> None:
        """Begin with what was kept, as far as it is a list of an authority of ours; its end is judged when asked."""
        if self.current.lists:
            return
        found = []
        for kept in self._kept:
            octets = None if kept is None else kept.read()
            if octets is not None:
                with suppress(BadValue):
                    found.append(read_list(octets, self._authorities))
        self.current = self.current.with_lists(found)
