"""What a responder says counts only when it is from whom it must be, about whom was asked, and of now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mss.crypto.authority import Authority, Issued, KeyKind, Subject
from mss.crypto.ocsp import question, read_answer
from mss.crypto.revocation import Link
from mss.directory.responders import ASK_EVERY_S, REST_S, Responders
from mss.model.clock import ManualClock
from mss.model.errors import BadValue
from mss.model.verdict import Accept, Reason, Verdict
from tests.kit.gate import TrustFiles, trust_files
from tests.kit.pki import LAB, LAB_DOMAIN, Pki, key_of, session_pki
from tests.kit.responder import REVOKED, UNKNOWN, Responder, responder

ACCEPTED = "accepted"
SIGNING = (ExtendedKeyUsageOID.OCSP_SIGNING,)
SPEAKER = Subject("ocsp.mssante.example", "312345678900021", "AUTORITE DE L'EXEMPLE")
PATIENT_S = 10.0
"""A machine that does other things too answers late, and is no silent responder."""
SILENCE_S = 0.5


@dataclass
class Scene:
    """A gate that asks a responder, with or without lists behind it."""

    pki: Pki
    responder: Responder
    files: TrustFiles
    responders: Responders
    told: list[str]
    shown: Issued

    def hush(self, *, is_silent: bool = True) -> None:
        """The responder takes questions and says nothing; not worth ten seconds of a test."""
        self.responder.is_silent = is_silent
        self.responders._answer_s_max = SILENCE_S if is_silent else PATIENT_S

    async def verdict(self) -> str:
        """What a peer's first command would bring, and what the courier thinks of the same certificate."""
        peer, verdict = await self.files.gate.peer(self.shown.der, "127.0.0.1")
        assert (peer is not None) == isinstance(verdict, Accept)
        assert _word(self.files.gate.server(LAB_DOMAIN, self.shown.der)) in (
            _word(verdict),
            Reason.PEER_CERTIFICATE_WRONG,  # what revoked is called outward
        )
        return _word(verdict)


def _word(verdict: Verdict) -> str:
    return ACCEPTED if isinstance(verdict, Accept) else verdict.reason.value


@pytest.fixture
async def with_lists(pki: Pki, tmp_path: Path) -> AsyncIterator[Scene]:
    """Lists by which everybody is good, and a responder."""
    async with _scene(pki, tmp_path, lists=True) as scene:
        yield scene


@pytest.fixture
async def alone(pki: Pki, tmp_path: Path) -> AsyncIterator[Scene]:
    """A responder and no lists."""
    async with _scene(pki, tmp_path, lists=False) as scene:
        yield scene


class _scene:
    def __init__(self, pki: Pki, directory: Path, *, lists: bool, named: bool = False) -> None:
        self.clock = ManualClock(at=pki.now)
        self.pki, self.directory, self.lists, self.named = pki, directory, lists, named
        self.opening = responder(pki.authority, self.clock.now)

    async def __aenter__(self) -> Scene:
        pki, opened, told = self.pki, await self.opening.__aenter__(), list[str]()
        asked = Responders(
            pki.authority.certificates,
            self.clock,
            url="" if self.named else opened.url,
            lists=lambda: files.gate.lists or pki.revocations,
            tell=lambda _url, why: told.append(why),
            answer_s_max=PATIENT_S,
        )
        revoked = () if self.lists else None
        files = trust_files(pki, self.directory, revoked=revoked, responders=asked, clock=self.clock)
        shown = pki.authority.issue(LAB, now=pki.now, key=pki.lab.key, responder=opened.url if self.named else "")
        return Scene(pki, opened, files, asked, told, shown)

    async def __aexit__(self, *_: object) -> None:
        await self.opening.__aexit__(None, None, None)


async def test_a_good_answer_is_enough_and_is_asked_once(alone: Scene) -> None:
    """For the certificate and for the authority above it; a thousand mails bring no second question."""
    assert await alone.verdict() == ACCEPTED
    for _ in range(1000):
        await alone.verdict()
    above = alone.pki.authority.organisations.certificate.serial_number
    assert sorted(alone.responder.asked) == sorted([alone.shown.certificate.serial_number, above])


async def test_a_revoked_certificate_is_refused_whatever_the_list_says(with_lists: Scene) -> None:
    """The list is a day old, the answer of now; and it stays so when the answer is over and nobody answers."""
    with_lists.responder.states[with_lists.shown.certificate.serial_number] = REVOKED
    assert await with_lists.verdict() == Reason.CERTIFICATE_REVOKED
    with_lists.hush()
    with_lists.files.clock.forward(2 * 3600)
    assert await with_lists.verdict() == Reason.CERTIFICATE_REVOKED


async def test_what_its_authority_does_not_know_is_not_let_in(with_lists: Scene) -> None:
    """No list names a certificate that was forged: it is "good" there. The answer goes first."""
    with_lists.responder.states[with_lists.shown.certificate.serial_number] = UNKNOWN
    assert await with_lists.verdict() == Reason.REVOCATION_UNKNOWN


async def test_a_certificate_on_the_list_is_refused_whatever_the_responder_says(with_lists: Scene) -> None:
    """Whoever says no has the last word."""
    with_lists.files.take_back(with_lists.shown.certificate)
    assert await with_lists.verdict() == Reason.CERTIFICATE_REVOKED


async def test_an_authority_taken_back_takes_its_certificates_with_it(alone: Scene) -> None:
    """Each step of the path is asked about."""
    alone.responder.states[alone.pki.authority.organisations.certificate.serial_number] = REVOKED
    assert await alone.verdict() == Reason.CERTIFICATE_REVOKED


def _set(**values: object) -> Callable[[Scene], None]:
    def spoil(scene: Scene) -> None:
        for name, value in values.items():
            setattr(scene.responder, name, value)

    return spoil


def _raw(octets: bytes) -> Callable[[Scene], None]:
    return _set(raw=octets)


def _signed_by(make: Callable[[Pki], Issued]) -> Callable[[Scene], None]:
    return lambda scene: setattr(scene.responder, "signer", make(scene.pki))


def _issue(pki: Pki, *, since_days: int = 1, days: int = 30) -> Issued:
    at = pki.now - timedelta(days=since_days)
    return pki.authority.issue(SPEAKER, now=at, usages=SIGNING, days=days)


def _taken_back(scene: Scene) -> None:
    scene.responder.signer = _issue(scene.pki)
    scene.files.take_back(scene.responder.signer.certificate)


NO_ANSWERS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "silent": (Scene.hush, "silent"),
    "garbage": (_raw(b"HTTP/1.1 200 OK\r\n\r\nnonsense"), "cannot be read"),
    "no HTTP": (_raw(b"220 smtp.example ESMTP\r\n\r\n"), "no HTTP answer"),
    "not found": (_raw(b"HTTP/1.1 404 Not Found\r\n\r\n"), "HTTP answer 404"),
    "cut short": (_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n0"), "cannot be read"),
    "endless head": (_raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000), "no HTTP answer"),
    "endless": (_raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"0" * 100_000), "too large"),
    "try later": (_raw(b"HTTP/1.1 200 OK\r\n\r\n0\x03\n\x01\x03"), "says try-later"),
    "stale": (_set(dated=timedelta(hours=-3)), "that is over"),
    "undated, of long ago": (_set(dated=timedelta(hours=-3), counts=None), "that is over"),
    "of the future": (_set(dated=timedelta(hours=1)), "from the future"),
    "about another": (_set(about=7), "about another certificate"),
    "signed by nobody": (_set(breaks_signature=True), "not signed by whom it names"),
    "signed by an operator": (_signed_by(lambda p: p.lab), "not for that"),
    "signed by a responder of elsewhere": (
        _signed_by(lambda p: Authority.create("AILLEURS", now=p.now).issue(SPEAKER, now=p.now, usages=SIGNING)),
        "of another authority",
    ),
    "signed with an old certificate": (_signed_by(lambda p: _issue(p, since_days=90)), "does not count now"),
    "signed with a weak key": (
        _signed_by(lambda p: p.authority.issue(SPEAKER, now=p.now, usages=SIGNING, key=key_of(KeyKind.RSA_1024))),
        "too weak",
    ),
    "signed by whom was taken back": (_taken_back, "taken back"),
}


@pytest.mark.parametrize("how", NO_ANSWERS)
async def test_what_is_no_answer_leaves_it_to_the_lists(with_lists: Scene, how: str) -> None:
    """It lies that the certificate was taken back, and nobody believes it; our journal says why. The last list that
    counts decides, and when that is over nobody can tell."""
    spoil, why = NO_ANSWERS[how]
    with_lists.responder.states[with_lists.shown.certificate.serial_number] = REVOKED
    spoil(with_lists)
    assert await with_lists.verdict() == ACCEPTED
    assert any(why in one for one in with_lists.told), with_lists.told
    with_lists.files.clock.forward(8 * 86_400)
    _, verdict = await with_lists.files.gate.peer(with_lists.shown.der, "127.0.0.1")
    assert _word(verdict) == Reason.REVOCATION_UNKNOWN


async def test_a_responder_named_by_the_authority_is_believed(alone: Scene) -> None:
    """As IGC-Santé does it: a certificate for OCSP, in the answer."""
    delegate = _issue(alone.pki)
    alone.responder.signer = delegate
    await alone.files.gate.inquire(alone.shown.der)
    (answer,) = alone.responders.answers.values()
    assert (answer.status.name, answer.signer) == ("GOOD", delegate.certificate.serial_number)
    assert alone.told == ["answer of a responder of another authority"], "not for the authority above"
    assert alone.responders.trouble == {alone.responder.url: alone.told[0]}, "although it answered for the other"


async def test_without_answer_or_list_nobody_can_tell(alone: Scene) -> None:
    """Later, never an open door; the responder is left in peace for a minute, and heard when it is back."""
    alone.hush()
    assert await alone.verdict() == Reason.REVOCATION_UNKNOWN
    asked = len(alone.responder.asked)
    alone.hush(is_silent=False)
    assert await alone.verdict() == Reason.REVOCATION_UNKNOWN
    assert len(alone.responder.asked) == asked
    alone.files.clock.forward(REST_S)
    assert await alone.verdict() == ACCEPTED


async def test_the_certificate_says_whom_to_ask(pki: Pki, tmp_path: Path) -> None:
    """Without a setting, the http address in it; what names none is for the lists."""
    async with _scene(pki, tmp_path, lists=True, named=True) as scene:
        assert await scene.verdict() == ACCEPTED
        assert scene.responder.asked == [scene.shown.certificate.serial_number]


async def test_one_taken_back_meanwhile_is_heard_within_the_hour(alone: Scene) -> None:
    """An answer that counts for a week is asked for again hourly all the same, while its peer goes on unhindered."""
    alone.responder.counts = timedelta(days=7)
    assert await alone.verdict() == ACCEPTED
    alone.responder.states[alone.shown.certificate.serial_number] = REVOKED
    alone.files.clock.forward(ASK_EVERY_S)
    await alone.verdict()
    async with asyncio.timeout(10):
        while await alone.verdict() != Reason.CERTIFICATE_REVOKED:
            await asyncio.sleep(0.01)


async def test_an_older_answer_replayed_brings_nobody_back(alone: Scene) -> None:
    """Whoever sits between cannot undo what we know."""
    alone.responder.states[alone.shown.certificate.serial_number] = REVOKED
    assert await alone.verdict() == Reason.CERTIFICATE_REVOKED
    alone.responder.states.clear()
    alone.responder.dated = timedelta(minutes=-20)
    alone.files.clock.forward(REST_S)
    alone.responders._next_s.clear()
    await alone.verdict()
    await asyncio.sleep(0)
    assert await alone.verdict() == Reason.CERTIFICATE_REVOKED


async def test_a_silent_responder_keeps_nobody_else_waiting(pki: Pki, tmp_path: Path) -> None:
    """Another peer, whose certificate names another responder, is judged while the first one waits."""
    async with (
        _scene(pki, tmp_path, lists=False, named=True) as scene,
        responder(pki.authority, scene.files.clock.now) as other,
    ):
        scene.hush()
        slow = asyncio.create_task(scene.files.gate.peer(scene.shown.der, "127.0.0.1"))
        while not scene.responder.asked:
            await asyncio.sleep(0.005)
        quick = pki.authority.issue(LAB, now=pki.now, key=pki.lab.key, responder=other.url)
        await scene.files.gate.inquire(quick.der)
        assert not slow.done()
        assert other.asked == [quick.certificate.serial_number]
        await slow


AT = session_pki().now
LINK = Link(b"", 77, is_authority=False)


@given(st.binary(max_size=300))
def test_garbage_is_no_answer(octets: bytes) -> None:
    """Our error only."""
    with pytest.raises(BadValue):
        read_answer(octets, LINK, session_pki().authority.organisations.certificate, AT)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_an_answer_changed_on_the_way_says_nothing_else(place: int, change: int) -> None:
    """Each octet is signed, or is not believed; the status never turns."""
    pki = session_pki()
    speaker = Responder(pki.authority, lambda: AT, states={77: REVOKED})
    octets = bytearray(_answered(pki, speaker))
    octets[place % len(octets)] ^= change
    try:
        answer = read_answer(bytes(octets), LINK, pki.authority.organisations.certificate, AT)
    except BadValue:
        return
    assert answer.status.name == "REVOKED"


def _answered(pki: Pki, speaker: Responder) -> bytes:
    return speaker.answer(ocsp.load_der_ocsp_request(question(LINK, pki.authority.organisations.certificate)))
