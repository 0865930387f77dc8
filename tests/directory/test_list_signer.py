"""Where responders are asked, a new trust list counts only when nobody has taken its signer's certificate back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mss.crypto.examiner import Examiner
from mss.crypto.revocation import RevocationLists
from mss.directory.feed import ListTrust, Problem, Refresh, TrustFeed
from mss.directory.responders import REST_S, Responders
from mss.directory.sources import FileSource, Kept
from mss.mail.peers import TrustGate
from mss.model.clock import ManualClock
from tests.kit.pki import LIST_SIGNER, LIST_SIGNER_MAIL, Pki
from tests.kit.responder import REVOKED, UNKNOWN, Responder, responder

PATIENT_S = 0.5


@dataclass
class Scene:
    """A house that goes by a good list; then a newer one lies there."""

    pki: Pki
    directory: Path
    clock: ManualClock
    responder: Responder
    feed: TrustFeed
    lists: RevocationLists = field(default_factory=RevocationLists)

    def new_feed(self) -> TrustFeed:
        """As after a restart."""
        authorities = self.pki.authority.certificates
        asked = Responders(authorities, self.clock, url=self.responder.url, answer_s_max=PATIENT_S)
        return TrustFeed(
            FileSource(self.directory / "list.xml"),
            ListTrust(authorities, authorities, [LIST_SIGNER.common_name]),
            self.clock,
            kept=Kept(self.directory / "kept.xml"),
            revocations=lambda: self.lists,
            responders=asked,
        )

    def publish(self) -> datetime:
        """A newer list; of which moment."""
        self.clock.forward(3600)
        at = self.clock.now()
        (self.directory / "list.xml").write_bytes(self.pki.signed_list(generated_at=at))
        return at

    async def look(self) -> Refresh:
        return await asyncio.to_thread(self.feed.refresh)

    def of(self) -> datetime | None:
        return None if self.feed.view is None else self.feed.view.generated_at


@pytest.fixture
async def scene(pki: Pki, tmp_path: Path) -> AsyncIterator[Scene]:
    clock = ManualClock(at=pki.now)
    async with responder(pki.authority, clock.now) as asked:
        scene = Scene(pki, tmp_path, clock, asked, None)  # type: ignore[arg-type]  # a line later
        scene.feed = scene.new_feed()
        (tmp_path / "list.xml").write_bytes(pki.signed_list())
        assert (await scene.look()).taken
        yield scene


async def test_a_list_is_taken_when_its_signer_is_good(scene: Scene) -> None:
    """Asked about the signer and the authority above it; once for each while the answers count."""
    signer = scene.pki.list_signer.certificate.serial_number
    assert signer in scene.responder.asked
    assert len(scene.responder.asked) == 2
    at = scene.publish()
    assert (await scene.look()).taken
    assert scene.of() == at


async def test_a_list_of_a_signer_who_was_taken_back_is_not_taken(scene: Scene) -> None:
    """The list before stays, and a human is wanted."""
    scene.responder.states[scene.pki.list_signer.certificate.serial_number] = REVOKED
    scene.publish()
    assert (await scene.look()).problem is Problem.SIGNER_REVOKED
    assert scene.of() == scene.pki.now
    assert scene.feed.wants_attention


@pytest.mark.parametrize("how", ["silent", "does not know"])
async def test_while_nobody_can_tell_the_last_good_list_stays(scene: Scene, how: str) -> None:
    """Nobody's word is not a yes: alarm. Once the responder knows, the list that waited is taken by itself."""
    if how == "silent":
        scene.responder.is_silent = True
    else:
        scene.responder.states[scene.pki.list_signer.certificate.serial_number] = UNKNOWN
    at = scene.publish()
    gate = TrustGate(scene.feed, None, Examiner(scene.pki.authority.certificates), scene.clock)
    with capture_logs() as logs:
        await asyncio.to_thread(gate.refresh)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["trust.refused", "trust.alarm"]
    assert scene.feed.last.problem is Problem.SIGNER_UNKNOWN
    assert scene.of() == scene.pki.now
    asked = len(scene.responder.asked)
    assert (await scene.look()).problem is Problem.SIGNER_UNKNOWN
    assert len(scene.responder.asked) == asked, "a responder in trouble is left in peace for a while"
    scene.responder.is_silent = False
    scene.responder.states.clear()
    scene.clock.forward(3600 if how == "does not know" else REST_S)
    assert (await scene.look()).taken
    assert scene.of() == at
    assert not scene.feed.wants_attention


async def test_lists_of_revocations_decide_where_the_responder_is_silent(scene: Scene) -> None:
    """As for peers."""
    scene.responder.is_silent = True
    scene.lists = scene.pki.revocations
    scene.publish()
    assert (await scene.look()).taken


async def test_a_restart_while_the_responder_is_away_goes_on_by_the_kept_list(scene: Scene) -> None:
    """Its signer was asked about when it was taken."""
    at = scene.publish()
    assert (await scene.look()).taken
    scene.responder.is_silent = True
    asked = len(scene.responder.asked)
    scene.feed = scene.new_feed()
    assert not (await scene.look()).problem
    assert scene.of() == at
    assert len(scene.responder.asked) == asked


async def test_a_list_may_outlive_its_signer(scene: Scene) -> None:
    """A certificate that is over is forgotten by lists and responders: that they know nothing is then no obstacle."""
    scene.responder.is_silent = True
    over = scene.pki.authority.issue_list_signer(LIST_SIGNER, now=scene.pki.now, mail=LIST_SIGNER_MAIL, days=1)
    last = over.certificate.not_valid_after_utc
    (scene.directory / "list.xml").write_bytes(scene.pki.signed_list(generated_at=last - timedelta(hours=1), by=over))
    scene.clock.forward((last - scene.clock.now()).total_seconds() - 60)
    assert (await scene.look()).problem is Problem.SIGNER_UNKNOWN
    scene.clock.forward(120)
    assert (await scene.look()).taken
