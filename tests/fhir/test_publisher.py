"""What we say of our mailboxes reaches the national directory, once in effect, whatever happens on the way there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fhir.resources.R4B.organization import Organization

from mss.crypto.authority import Subject
from mss.crypto.tls import service_server_context, sink_client_context
from mss.directory.own import Own, Wish
from mss.fhir.duty import REFUSED, Publication, retry_after_s
from mss.fhir.nightly import Nightly, is_due, last_look
from mss.fhir.publisher import Place, Publisher
from mss.model.clock import to_ms
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store import audit, ownmailboxes
from mss.store.ownmailboxes import OwnRow
from tests.kit.fhirdoor import PEOPLE, TOKEN, Door, copied, open_door
from tests.kit.frenchpeople import rpps
from tests.kit.ownhouse import CAMILLE, HOSPITAL, OwnHouse, own_house, team
from tests.kit.pki import Pki
from tests.kit.reading import CHECKOUT
from tests.kit.strangedirectory import EMPTY, Say, StrangeDirectory

CHU, VILLE = "chu.mssante.example", "ville.mssante.example"
NEW = MailAddress.parse(f"urgences@{CHU}")
MINE = MailAddress.parse(f"dr.lefevre@{VILLE}")
DAY_S = 24 * 3600.0
STAFF = "staff:7"


@dataclass
class Two:
    """Our house, and the directory of another operator that is told."""

    house: OwnHouse
    peer: Door
    publication: Publication

    async def row(self, address: MailAddress) -> OwnRow:
        known = await self.house.ours.of(address)
        assert known is not None
        return known.row

    async def there(self, address: MailAddress) -> int:
        """How often what the peer says of an address was changed; 0: never."""
        assert self.peer.ours is not None
        known = await self.peer.ours.of(address)
        return known.row.version if known is not None else 0

    async def shows(self, address: MailAddress) -> list[str]:
        """Descriptions and services that its readers see behind an address, or `-`; nothing: it lists it nowhere."""
        found = []
        for unit in ("Practitioner", "PractitionerRole", "Organization"):
            for resource in (await self.peer.ask(f"/{unit}?mailbox-mss:exact={address}")).resources:
                parts = next(one for one in resource["telecom"] if one["value"] == str(address))["extension"][1]
                words = [one["valueString"] for one in parts["extension"] if "valueString" in one]
                found.append(", ".join(words) or "-")
        return found


@asynccontextmanager
async def two_operators(tmp_path: Path, pki: Pki, filled: Path, url: str = "") -> AsyncIterator[Two]:
    """Each with a store of its own, TLS between them. `url`: of an empty database for ours; else a filled copy."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    (ours / "ca.pem").write_bytes(pki.authority.bundle_pem)
    (ours / "ours.token").write_text(TOKEN)
    pki.hospital.write(theirs, "server")
    tls = service_server_context(theirs / "server.pem", theirs / "server.key")
    client = sink_client_context(ours / "ca.pem")
    both = frozenset((CHU, VILLE))
    async with (
        open_door(copied(filled, theirs), theirs, (), tls=tls, client_tls=client, publishes=both) as peer,
        own_house(url or copied(filled, ours), ours, PEOPLE if url else ()) as house,
    ):
        place = Place(peer.base, ours / "ours.token")
        publisher = Publisher(place, lambda: sink_client_context(ours / "ca.pem"))
        yield Two(house, peer, Publication(house.store, house.ours, publisher, house.pair, house.clock))
        await publisher.close()


@pytest.fixture
async def two(tmp_path: Path, pki: Pki, filled: Path) -> AsyncIterator[Two]:
    async with two_operators(tmp_path, pki, filled) as made:
        yield made


@pytest.fixture
async def any_two(tmp_path: Path, pki: Pki, filled: Path, database_url: str) -> AsyncIterator[Two]:
    """Ours on each engine."""
    async with two_operators(tmp_path, pki, filled, database_url) as made:
        yield made


async def test_what_one_operator_says_the_other_one_shows(any_two: Two) -> None:
    """New, described, withdrawn, closed, back, on the red list: each change arrives, and none is sent twice."""
    two = any_two
    house, publication = two.house, two.publication
    await house.begin(team(str(NEW)))
    await house.begin(Own(str(MINE), MailboxKind.PERSONAL, idnps=CAMILLE))
    assert await publication.round() == 2
    assert (await two.shows(NEW), await two.shows(MINE)) == (["-"], ["-"])
    await house.ours.say(NEW, Wish(description="Accueil", responsible="Mme X", purpose="lettres", rank=2), STAFF)
    assert await publication.round() == 1
    assert await two.shows(NEW) == ["Accueil"]
    resource = (await two.peer.ask(f"/Organization/{HOSPITAL}")).body
    Organization.model_validate(resource)
    assert "Mme X" not in str(resource)
    versions = await two.there(NEW), await two.there(MINE)
    await publication.bring_forward()
    assert await publication.round() == 0
    assert (await publication.reconcile(0.01)).differing == 0
    assert (await two.there(NEW), await two.there(MINE)) == versions, "what is so already is not sent again"
    await house.lives(NEW, takes_mail=False)
    await publication.round()
    assert await two.shows(NEW) == []
    await house.lives(NEW, takes_mail=True)
    await publication.round()
    assert await two.shows(NEW) == ["Accueil"]
    await house.ours.say(NEW, Wish(is_unlisted=True), STAFF)
    assert (await two.row(NEW)).sealed
    assert await publication.round() == 1
    row = await two.row(NEW)
    assert (row.is_published, row.sealed, row.text) == (True, b"", "")
    assert await two.shows(NEW) == []
    for takes_mail in (False, True):  # closed and reopened there, it is as hidden as before
        await house.lives(NEW, takes_mail=takes_mail)
        assert await publication.round() == 0
    assert (await two.row(NEW)).problem == ""
    assert (await house.store.read(audit.verify))[1] == []


async def test_what_the_directory_refuses_waits_for_a_human(two: Two) -> None:
    """404: it does not know the holder; another kind there; nobody knows whose it is. The others go on meanwhile."""
    house = two.house
    unknown = MailAddress.parse(f"inconnu@{VILLE}")
    await house.begin(Own(str(unknown), MailboxKind.PERSONAL, idnps="8" + rpps(77)))
    await house.begin(Own(f"sans@{VILLE}", MailboxKind.PERSONAL))
    await house.begin(Own(f"dpi@{CHU}", MailboxKind.ORGANISATIONAL, idnst=HOSPITAL))
    await house.begin(team("a@labo.mssante.example"))
    await house.begin(team(str(NEW)))
    assert await two.publication.round() == 5
    told = {one.own.address: one.row.problem async for one in house.ours.all() if one.own is not None}
    assert told[str(NEW)] == ""
    assert told[str(unknown)] == "refused: HTTP 404 not-found: it does not know the holder"
    assert "whose mailbox" in told[f"sans@{VILLE}"]
    assert "another kind" in told[f"dpi@{CHU}"]
    assert told["a@labo.mssante.example"] == "refused: HTTP 422 business-rule"
    assert await two.publication.round() == 0
    before_ms = to_ms(house.clock.now()) - 1
    assert await house.store.read(lambda c: ownmailboxes.stuck(c, REFUSED, before_ms)) == 4
    assert await two.publication.bring_forward() == 4
    assert await two.publication.round() == 4, "a human has mended something, and says so"


async def test_killed_in_the_middle_the_change_is_there_once(two: Two, tmp_path: Path) -> None:
    """kill -9 of the works between the directory's writing and its answer: the next one finds it there."""
    house, peer = two.house, two.peer
    for number in range(4):
        await house.begin(team(f"urgences{number}@{CHU}", description=f"Accueil {number}"))
    patched = 0
    assert peer.ours is not None
    write = peer.ours.write
    words = ("-m", "tests.kit.publishchild", house.store.url, str(tmp_path / "ours"), str(peer.port))
    works = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=CHECKOUT)

    def killing(*words: object, **more: object) -> OwnRow:
        """The second patch kills its bringer as it is written."""
        nonlocal patched
        patched += 1
        if patched == 2:
            works.kill()
        return write(*words, **more)  # type: ignore[arg-type]

    peer.ours.write = killing  # type: ignore[method-assign]
    async with asyncio.timeout(100):
        await works.wait()
    assert patched == 2
    late = await house.store.read(lambda c: ownmailboxes.late(c, 2**61, 9))
    assert len(late) == 3, "nobody has heard of the second"
    assert await two.publication.round() == 3
    assert patched == 4, "and yet it is not sent again"
    for number in range(4):
        box = MailAddress.parse(f"urgences{number}@{CHU}")
        assert (await two.shows(box), await two.there(box)) == ([f"Accueil {number}"], 2)


async def test_every_night_what_differs_is_repaired_but_never_much_of_it(two: Two, tmp_path: Path) -> None:
    """A few are said again; if many differ nothing is done until somebody accepts."""
    house, publication, peer = two.house, two.publication, two.peer
    boxes = [MailAddress.parse(f"urgences{number}@{CHU}") for number in range(5)]
    for box in boxes:
        await house.begin(team(str(box), description="Accueil"))
    await publication.round()
    assert peer.ours is not None
    for box in boxes[:2]:
        await peer.ours.say(box, Wish(description="Autre"), "somebody")
    nightly = Nightly(tmp_path, house.ours, publication, 0.01, house.clock)
    looked = await nightly.look()
    assert looked is not None
    assert (looked.asked, looked.differing, looked.repaired, looked.stopped) == (5, 2, 2, "")
    await publication.round()
    assert await two.shows(boxes[0]) == ["Accueil"]
    at, found = last_look(tmp_path)
    assert (at, found["differing"]) == (house.clock.now(), 2)
    for box in boxes[:4]:
        await peer.ours.say(box, Wish(description="Autre"), "somebody")
    looked = await nightly.look()
    assert looked is not None
    assert (looked.repaired, "--accept" in looked.stopped) == (0, True)
    await publication.round()
    assert await two.shows(boxes[0]) == ["Autre"]
    assert (await publication.reconcile(0.01, accepts=True)).repaired == 4
    await publication.round()
    assert [await two.shows(box) for box in boxes] == [["Accueil"]] * 5


# ── peers that are strange ──


@dataclass
class Strange:
    """Our house, and a directory that answers as it is told to."""

    house: OwnHouse
    peer: StrangeDirectory
    publication: Publication
    publisher: Publisher

    async def row(self) -> OwnRow:
        known = await self.house.ours.of(NEW)
        assert known is not None
        return known.row


@pytest.fixture
async def strange(tmp_path: Path, pki: Pki, filled: Path) -> AsyncIterator[Strange]:
    (tmp_path / "ca.pem").write_bytes(pki.authority.bundle_pem)
    (tmp_path / "ours.token").write_text(TOKEN)
    pki.hospital.write(tmp_path, "server")
    peer = StrangeDirectory(service_server_context(tmp_path / "server.pem", tmp_path / "server.key"))
    await peer.start()
    async with own_house(copied(filled, tmp_path), tmp_path, ()) as house:
        await house.begin(team(str(NEW), description="Accueil"))
        place = Place(f"https://localhost:{peer.port}/fhir", tmp_path / "ours.token", answer_s=0.5)
        publisher = Publisher(place, lambda: sink_client_context(tmp_path / "ca.pem"))
        yield Strange(house, peer, Publication(house.store, house.ours, publisher, house.pair, house.clock), publisher)
        await publisher.close()
    await peer.stop()


ANSWERS: dict[str, tuple[Say, str]] = {
    "500": (500, "later: HTTP 500 processing"),
    "503": (503, "later: HTTP 503 processing"),
    "429": (429, "later: HTTP 429 processing"),
    "our token is not known": (401, "later: HTTP 401 processing"),
    "cut": ("cut", "later: ServerDisconnectedError"),
    "slow": ("slow", "later: no answer in time"),
    "elsewhere": ((307, {"Location": "https://localhost/"}), "later: HTTP 307: it sends us elsewhere"),
    "400": (400, "refused: HTTP 400 processing"),
    "404": (404, "refused: HTTP 404 processing: it does not know the holder"),
    "412": (412, "refused: HTTP 412 processing: it knows several"),
    "422": (422, "refused: HTTP 422 processing"),
}
ASKED: dict[str, tuple[Say, str]] = {
    "half": ("half", "later: its answer is no searchset"),
    "text": ("text", "later: its answer is no searchset"),
    "long": ("long", "later: its answer is too long"),
    "another resource": ({"resourceType": "Organization"}, "later: its answer is no searchset"),
}


async def test_a_strange_answer_is_read_for_what_it_says(strange: Strange) -> None:
    """To what is asked and to what is told; none of its words stands anywhere, since they may name people."""
    house, peer = strange.house, strange.peer
    for method, table in (("GET", ASKED | {name: ANSWERS[name] for name in ("500", "cut", "elsewhere")}),
                          ("PATCH", ANSWERS)):  # fmt: skip
        for name, (said, problem) in table.items():
            peer.says = lambda request, said=said, method=method: said if request.method == method else EMPTY  # type: ignore[misc]
            await strange.publication.bring_forward()
            await strange.publication.round()
            row = await strange.row()
            assert row.problem.startswith(problem), (method, name, row.problem)
            assert not row.is_published
            assert "zebra" not in row.problem
            assert (row.next_try_ms > 2**61) == problem.startswith("refused")
    assert peer.tokens == {f"Bearer {TOKEN}"}
    assert {"zebra"} & set(str(await house.store.read(audit.verify))) == set()
    peer.says = lambda _: EMPTY
    await strange.publication.bring_forward()
    assert await strange.publication.round() == 1
    row = await strange.row()
    assert (row.is_published, row.problem, row.tries) == (True, "", 0)


async def test_a_directory_that_is_away_for_days_is_asked_now_and_then(strange: Strange) -> None:
    """30 s doubling to an hour; a human hears after a day; when it is back the change arrives."""
    house, peer = strange.house, strange.peer
    peer.says = lambda _: 503
    for _ in range(3 * 24 * 2):
        await strange.publication.round()
        house.clock.forward(1800.0)
    assert 60 <= len(peer.seen) <= 90, "some ten in the first hour or two, then each hour"
    assert [retry_after_s(tries) for tries in (0, 1, 2, 7, 100)] == [30.0, 60.0, 120.0, 3600.0, 3600.0]
    day_ago_ms = to_ms(house.clock.now()) - int(DAY_S * 1000)
    assert await house.store.read(lambda c: ownmailboxes.stuck(c, REFUSED, day_ago_ms)) == 1
    peer.says = lambda _: EMPTY
    house.clock.forward(3600.0)
    assert await strange.publication.round() == 1
    assert (await strange.row()).is_published
    assert await house.store.read(lambda c: ownmailboxes.stuck(c, REFUSED, day_ago_ms)) == 0


async def test_a_directory_of_another_name_is_told_nothing(strange: Strange, pki: Pki, tmp_path: Path) -> None:
    """Its certificate names another host, or nobody whom we trust vouches for it: not a byte of ours leaves."""
    other = pki.authority.issue(
        Subject("ailleurs.example", "312345678900013", "AILLEURS"), now=pki.now, names=("ailleurs.example",)
    )
    other.write(tmp_path, "other")
    false = StrangeDirectory(service_server_context(tmp_path / "other.pem", tmp_path / "other.key"))
    await false.start()
    try:
        place = Place(f"https://localhost:{false.port}/fhir", tmp_path / "ours.token", answer_s=2.0)
        publisher = Publisher(place, lambda: sink_client_context(tmp_path / "ca.pem"))
        house = strange.house
        await Publication(house.store, house.ours, publisher, house.pair, house.clock).round()
        await publisher.close()
        assert (await strange.row()).problem.startswith("later: its certificate")
        assert false.seen == []
    finally:
        await false.stop()


async def test_a_change_that_was_overtaken_is_looked_at_again(strange: Strange) -> None:
    """The mailbox goes on the red list while its insertion is on the way: it is asked for once more, and taken back."""
    house, peer = strange.house, strange.peer

    def says(request: object) -> Say:
        if getattr(request, "method", "") == "PATCH" and not meanwhile:
            meanwhile.append(asyncio.ensure_future(house.ours.say(NEW, Wish(is_unlisted=True), STAFF)))
        return EMPTY

    meanwhile: list[asyncio.Future[object]] = []
    peer.says = says
    await strange.publication.round()
    await asyncio.gather(*meanwhile)
    before = len(peer.seen)
    assert not (await strange.row()).is_published
    assert await strange.publication.round() == 1
    assert len(peer.seen) > before
    row = await strange.row()
    assert (row.is_published, row.sealed) == (True, b"")


def test_the_look_is_at_night_and_missed_ones_are_made_up_for() -> None:
    noon = datetime(2026, 1, 5, 11, 0, tzinfo=UTC)
    night = datetime(2026, 1, 6, 1, 30, tzinfo=UTC)
    assert is_due(noon, None)
    assert not is_due(noon, noon - timedelta(hours=20))
    assert is_due(night, noon - timedelta(hours=10))
    assert not is_due(night, night - timedelta(hours=2))
    assert is_due(noon, noon - timedelta(hours=31))
    assert is_due(noon, noon + timedelta(hours=1)), "the clock was set back"
