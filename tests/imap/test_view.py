"""A client that believes what it is told believes what is true, as soon as it may be told everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from mss.imap.sets import SequenceSet
from mss.imap.snapshot import TRAIL_STEPS_MAX, Changes, Snapshot
from mss.imap.view import NOTHING, News, View


@dataclass
class Truth:
    """A folder as the store would keep it."""

    rows: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """uid to modseq, flags, keywords"""
    gone: list[tuple[int, int]] = field(default_factory=list)
    uidnext: int = 1
    modseq: int = 1

    def add(self, flags: int) -> None:
        self.modseq += 1
        self.rows[self.uidnext] = (self.modseq, flags, 0)
        self.uidnext += 1

    def mark(self, which: int, flags: int) -> None:
        self.modseq += 1
        if self.rows:
            uid = sorted(self.rows)[which % len(self.rows)]
            self.rows[uid] = (self.modseq, flags, flags << 40)

    def remove(self, which: int) -> None:
        self.modseq += 1
        if self.rows:
            uid = sorted(self.rows)[which % len(self.rows)]
            del self.rows[uid]
            self.gone.append((uid, self.modseq))

    def snapshot(self) -> Snapshot:
        states = ((uid, *self.rows[uid]) for uid in sorted(self.rows))
        return Snapshot.of(7, self.uidnext, self.modseq, (), states)

    def since(self, modseq: int) -> Changes:
        states = [(uid, *row) for uid, row in self.rows.items() if row[0] > modseq]
        gone = [(uid, uid) for uid, at in self.gone if at > modseq]
        return Changes(self.modseq, self.uidnext, states, gone)


def facts(snapshot: Snapshot) -> list[tuple[int, int, int, int]]:
    """A picture, spelled out."""
    return [(uid, snapshot.modseqs[index], *snapshot.marks(index)) for index, uid in enumerate(snapshot.uids)]


@dataclass
class Client:
    """What a client makes of what it is told."""

    uids: list[int]
    flags: list[int]

    @classmethod
    def of(cls, view: View) -> Client:
        return cls(list(view.uids), [view.snapshot.marks(i)[0] for i in range(len(view))])

    def hear(self, news: News, view: View) -> None:
        for number in news.expunged:
            assert 1 <= number <= len(self.uids), "an expunge of a message that the client does not have"
            del self.uids[number - 1], self.flags[number - 1]
        if news.exists is not None:
            assert news.exists > len(self.uids), "EXISTS never takes away"
            for position in range(len(self.uids), news.exists):  # a client asks for what is new
                self.uids.append(view.uids[position])
                self.flags.append(view.snapshot.marks(view.indices([position])[0])[0])
        for position in news.flags:
            (index,) = view.indices([position])
            self.flags[position] = view.snapshot.marks(index)[0]


OP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 3)),
    st.tuples(st.just("mark"), st.integers(0, 30), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("read")),
    st.tuples(st.just("tell"), st.booleans()),
)


def _run(truth: Truth, name: str, arguments: tuple[int, ...]) -> None:
    getattr(truth, name)(*arguments)


@given(st.lists(OP, max_size=60))
def test_a_client_that_is_told_everything_has_the_folder(ops: list[tuple[object, ...]]) -> None:
    """Adds, flags and removals, readings of the store at any moment, news with and without leave to expunge:
    at the end, and whenever everything may be told, the client's picture is the folder."""
    truth = Truth()
    for _ in range(4):
        truth.add(0)
    shared = truth.snapshot()
    view = View(shared)
    client = Client.of(view)
    for name, *arguments in [*ops, ("read",), ("tell", True)]:
        if name == "read":
            shared = shared.after(truth.since(shared.modseq))
            assert facts(shared) == facts(truth.snapshot())
        elif name == "tell":
            may_expunge = bool(arguments[0])
            news = view.catch_up(shared, may_expunge=may_expunge)
            assert may_expunge or not news.expunged
            client.hear(news, view)
            assert client.uids == list(view.uids)
            if may_expunge:
                assert client.uids == list(shared.uids)
                assert view.uids is shared.uids  # nothing private is kept when nothing is kept back
            _same_flags(client, shared)
        else:
            _run(truth, str(name), tuple(arguments))  # type: ignore[arg-type]
    assert client.uids == sorted(truth.rows)
    assert client.flags == [truth.rows[uid][1] for uid in client.uids]


def _same_flags(client: Client, shared: Snapshot) -> None:
    for uid, flags in zip(client.uids, client.flags, strict=True):
        index = shared.index(uid)
        assert index < 0 or shared.marks(index)[0] == flags


@given(st.lists(OP, max_size=40), st.integers(0, 20))
def test_differences_are_the_same_with_and_without_a_trail(ops: list[tuple[object, ...]], keep: int) -> None:
    """Whether the last steps are remembered or the pictures are compared whole."""
    truth = Truth()
    truth.add(0)
    shared = first = truth.snapshot()
    for name, *arguments in [*ops, ("read",)]:
        if name == "read":
            shared = shared.after(truth.since(shared.modseq))
        elif name != "tell":
            _run(truth, str(name), tuple(arguments))  # type: ignore[arg-type]
    whole = truth.snapshot()
    old = {uid for uid in shared.changed_since(first.modseq) if uid < first.uidnext}
    assert old == {uid for uid in whole.changed_since(first.modseq) if uid < first.uidnext}
    assert shared.gone_since(first) == whole.gone_since(first)


def test_a_trail_does_not_grow_without_end() -> None:
    """A folder that is open for a year remembers its last steps only."""
    truth = Truth()
    truth.add(0)
    shared = truth.snapshot()
    for number in range(5 * TRAIL_STEPS_MAX):
        truth.mark(0, number % 2)
        shared = shared.after(truth.since(shared.modseq))
    assert len(shared.trail) == TRAIL_STEPS_MAX
    assert len(shared.palette) <= 3


def test_sessions_of_a_folder_share_its_arrays() -> None:
    """Ten thousand messages in a hundred sessions are kept once."""
    truth = Truth()
    for _ in range(50):
        truth.add(0)
    shared = truth.snapshot()
    views = [View(shared) for _ in range(100)]
    truth.mark(3, 1)
    newer = shared.after(truth.since(shared.modseq))
    assert newer.uids is shared.uids  # a flag changes no uid
    for view in views:
        view.catch_up(newer, may_expunge=False)
        assert view.uids is newer.uids


def test_what_a_client_did_silently_is_not_told_back() -> None:
    """Its own STORE is no news, unless somebody else was faster."""
    truth = Truth()
    truth.add(0)
    truth.add(0)
    shared = truth.snapshot()
    view = View(shared)
    truth.mark(0, 1)
    truth.mark(1, 2)
    newer = shared.after(truth.since(shared.modseq))
    news = view.catch_up(newer, may_expunge=False, known={1: (1, 1 << 40), 2: (1, 1 << 40)})
    assert news.flags == (1,)
    assert view.catch_up(newer, may_expunge=True) is NOTHING


def test_numbers_stay_until_the_client_is_told() -> None:
    """A message that is gone keeps its number, so that the client's numbers mean what it thinks."""
    truth = Truth()
    for _ in range(3):
        truth.add(0)
    shared = truth.snapshot()
    view = View(shared)
    truth.remove(0)
    truth.add(0)
    newer = shared.after(truth.since(shared.modseq))
    news = view.catch_up(newer, may_expunge=False)
    assert (news.expunged, news.exists) == ((), 4)
    assert list(view.uids) == [1, 2, 3, 4]
    assert view.indices([0, 1, 2, 3]) == [-1, 0, 1, 2]
    assert view.positions(SequenceSet.parse(b"2"), uid=False) == [1]
    news = view.catch_up(newer, may_expunge=True)
    assert (news.expunged, news.exists) == ((1,), None)
    assert list(view.uids) == [2, 3, 4]
