"""Sign-in of a person: password, one-time code, and everything that somebody else may try."""

from __future__ import annotations

from sqlalchemy import text

from mss.accounts import login
from mss.accounts.login import Entry, Visitor
from mss.accounts.sessions import ABSOLUTE_S, IDLE_S, Level, Session
from mss.model.ids import network_of
from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store import accounts
from tests.kit.people import PASSWORD, Cellar, Person

HOME = Visitor("192.0.2.7")
WRONG = Refuse(Reason.AUTHENTICATION_FAILED)


async def first_step(house: Cellar, person: Person, visitor: Visitor = HOME) -> Session:
    entry = await house.login.password(person.login, person.password, visitor)
    assert entry.session is not None, entry
    return entry.session


async def signed_in(house: Cellar, person: Person, visitor: Visitor = HOME) -> Entry:
    entry = await house.login.code(await first_step(house, person, visitor), person.code(house.clock), visitor)
    assert entry.verdict == Accept()
    return entry


async def acts(house: Cellar, owner: int) -> list[str]:
    question = text("SELECT act FROM audit WHERE owner = :owner AND act LIKE 'login%' ORDER BY seq")
    return await house.store.read(lambda c: list(c.execute(question, {"owner": owner}).scalars()))


async def test_password_then_code_opens_a_session_that_a_restart_does_not_end(house: Cellar) -> None:
    """What a patient does every time."""
    claire = await house.enrol()
    entry = await signed_in(house, claire)
    house.sign_in_again()
    assert entry.session is not None
    found = await house.sessions.read(entry.session.token)
    assert found is not None
    assert (found.account, found.level) == (claire.owner, Level.FULL)
    assert (await acts(house, claire.owner))[-1] == "login.in"


async def test_a_login_is_found_whatever_its_capitals(house: Cellar) -> None:
    """Phones like to begin with a capital."""
    claire = await house.enrol(login="Claire.M-79")
    assert (await house.login.password(" claire.m-79 ", PASSWORD, HOME)).verdict == Accept()
    assert (await house.login.password("CLAIRE.M-79", claire.password, HOME)).verdict == Accept()


async def test_unknown_login_and_wrong_password_get_the_same_answer(house: Cellar) -> None:
    """Word for word, failure for failure, also when the waiting begins; both are written down."""
    claire = await house.enrol()
    known = [await house.login.password(claire.login, "Wrong-Horse-1", HOME) for _ in range(8)]
    house.clock.forward(600)
    unknown = [await house.login.password("nobody.here", "Wrong-Horse-1", HOME) for _ in range(8)]
    assert known == unknown
    assert known[0] == Entry(WRONG)
    assert isinstance(known[-1].verdict, Later)
    assert (await acts(house, claire.owner)).count("login.wrong-password") == 5
    assert (await acts(house, login.NOBODY)).count("login.wrong-password") == 5


async def test_a_suspended_account_looks_like_a_wrong_password_and_its_session_ends(house: Cellar) -> None:
    """The state of an account is nobody's business but its holder's."""
    claire = await house.enrol()
    entry = await signed_in(house, claire)
    await house.set_state(claire.owner, AccountState.SUSPENDED)
    assert entry.session is not None
    assert await house.sessions.read(entry.session.token) is None
    assert await house.login.password(claire.login, PASSWORD, HOME) == Entry(WRONG)


async def test_guessing_slows_down_one_account_and_nobody_else(house: Cellar) -> None:
    """Whoever sits behind the same box signs in at once."""
    claire, paul = await house.enrol(), await house.enrol("Paul DURAND")
    for _ in range(60):
        await house.login.password(claire.login, "Wrong-Horse-1", HOME)
    assert (await house.login.password(paul.login, PASSWORD, HOME)).verdict == Accept()
    refused = await house.login.password(claire.login, PASSWORD, HOME)
    assert refused.verdict == Later(Reason.RATE_LIMITED)
    house.clock.forward(refused.wait_s)
    assert (await house.login.password(claire.login, PASSWORD, HOME)).verdict == Accept()


async def test_trying_many_accounts_from_one_address_makes_a_neighbour_wait_ten_seconds_at_most(house: Cellar) -> None:
    """And not at all who comes from elsewhere."""
    claire = await house.enrol()
    for number in range(100):
        await house.login.password(f"victim.{number}", "Wrong-Horse-1", HOME)
    neighbour = await house.login.password(claire.login, PASSWORD, HOME)
    assert neighbour.verdict == Later(Reason.RATE_LIMITED)
    assert 0 < neighbour.wait_s <= 15
    assert (await house.login.password(claire.login, PASSWORD, Visitor("198.51.100.9"))).verdict == Accept()
    house.clock.forward(neighbour.wait_s)
    assert (await house.login.password(claire.login, PASSWORD, HOME)).verdict == Accept()


async def test_a_lock_survives_a_restart(house: Cellar) -> None:
    """Crashing us buys no new guesses."""
    claire = await house.enrol()
    for _ in range(40):
        house.clock.forward(100)
        await house.login.password(claire.login, "Wrong-Horse-1", HOME)
    house.sign_in_again()
    assert (await house.login.password(claire.login, PASSWORD, HOME)).verdict == Later(Reason.RATE_LIMITED)


async def test_her_own_browser_lets_her_in_while_somebody_guesses(house: Cellar) -> None:
    """An attacker cannot lock her out; and the cookie that helps her helps nobody else."""
    claire, paul = await house.enrol(), await house.enrol("Paul DURAND")
    device = (await signed_in(house, claire)).device
    house.clock.forward(60)
    for _ in range(60):
        await house.login.password(claire.login, "Wrong-Horse-1", Visitor("203.0.113.66"))
        await house.login.password(paul.login, "Wrong-Horse-1", Visitor("203.0.113.66"))
    assert (await house.login.password(claire.login, PASSWORD, HOME)).verdict == Later(Reason.RATE_LIMITED)
    assert (await house.login.password(claire.login, PASSWORD, Visitor("192.0.2.7", device))).verdict == Accept()
    assert (await house.login.password(paul.login, PASSWORD, Visitor("192.0.2.7", device))).verdict != Accept()
    forged = device.partition(".")[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert (await house.login.password(claire.login, PASSWORD, Visitor("192.0.2.7", forged))).verdict != Accept()


async def test_a_stolen_device_cookie_gives_a_few_guesses_not_many(house: Cellar) -> None:
    """Its own line is as slow as everybody's."""
    claire = await house.enrol()
    thief = Visitor("203.0.113.66", (await signed_in(house, claire)).device)
    answers = [(await house.login.password(claire.login, "Wrong-Horse-1", thief)).verdict for _ in range(20)]
    assert answers.count(WRONG) == login.FREE_FAILURES + 1


async def test_signing_in_oneself_earns_no_guesses_at_others(house: Cellar) -> None:
    """An attacker with an account and a known browser of his own does not get his address's tries back."""
    mallory = await house.enrol("Mallory X")
    own = Visitor("203.0.113.66", (await signed_in(house, mallory, Visitor("203.0.113.66"))).device)
    for number in range(40):
        await house.login.password(f"victim.{number}", "Wrong-Horse-1", Visitor("203.0.113.66"))
    for _ in range(10):
        assert (await house.login.password(mallory.login, PASSWORD, own)).verdict == Accept()
    spray = await house.login.password("victim.99", "Wrong-Horse-1", Visitor("203.0.113.66"))
    assert spray.verdict == Later(Reason.RATE_LIMITED)


async def test_a_code_is_used_once(house: Cellar) -> None:
    """Who looked over her shoulder is too late, also with a code of an earlier half minute."""
    claire = await house.enrol()
    await signed_in(house, claire)
    session = await first_step(house, claire)
    replayed = await house.login.code(session, claire.code(house.clock), HOME)
    assert replayed.verdict == WRONG
    assert replayed.session is not None
    earlier = await house.login.code(replayed.session, claire.code(house.clock, steps=-1), HOME)
    assert earlier.verdict == WRONG
    assert earlier.session is not None
    later = await house.login.code(earlier.session, claire.code(house.clock, steps=1), HOME)
    assert later.verdict == Accept()


async def test_a_code_of_somebody_else_is_wrong(house: Cellar) -> None:
    """Two phones, two secrets."""
    claire, paul = await house.enrol(), await house.enrol("Paul DURAND")
    assert (await house.login.code(await first_step(house, claire), paul.code(house.clock), HOME)).verdict == WRONG


async def test_after_five_wrong_codes_the_password_is_asked_for_again(house: Cellar) -> None:
    """The half-open session is gone."""
    claire = await house.enrol()
    session: Session | None = await first_step(house, claire)
    first = session
    for _ in range(login.CODES_A_SESSION):
        assert session is not None
        session = (await house.login.code(session, "000000", HOME)).session
    assert session is None
    assert first is not None
    assert await house.sessions.read(first.token) is None


async def test_a_day_of_guessing_codes_leaves_one_chance_in_ten_thousand(house: Cellar) -> None:
    """Somebody who knows her password tries a code every minute, with restarts in between."""
    claire = await house.enrol()
    looked_at = 0
    for minute in range(24 * 60 + 1):
        now_ms = int(house.clock.now().timestamp() * 1000)
        looked_at += await house.store.write(
            0,
            lambda c, now_ms=now_ms: accounts.spend_code_try(  # type: ignore[misc]
                c, claire.owner, now_ms, login.CODE_INTERVAL_S * 1000, login.CODE_BURST
            ),
            lazy=bool(minute),
        )
        house.clock.forward(60)
    assert looked_at > login.CODE_BURST, "her tries come back"
    assert looked_at * 3 / 10**6 <= 1e-4
    refused = await house.login.code(await first_step(house, claire), claire.code(house.clock), HOME)
    assert refused.verdict == Later(Reason.RATE_LIMITED)


async def test_her_own_browser_has_tries_when_a_thief_used_all(house: Cellar) -> None:
    """A stolen password does not shut her out."""
    claire = await house.enrol()
    home = Visitor("192.0.2.7", (await signed_in(house, claire)).device)
    house.clock.forward(60)
    for _ in range(login.CODE_BURST // login.CODES_A_SESSION):
        session: Session | None = await first_step(house, claire)
        while session is not None:
            session = (await house.login.code(session, "000000", HOME)).session
    session = await first_step(house, claire)
    assert (await house.login.code(session, claire.code(house.clock), HOME)).verdict == Later(Reason.RATE_LIMITED)
    assert (await house.login.code(session, claire.code(house.clock), home)).verdict == Accept()


async def test_tries_of_a_good_sign_in_cost_nothing(house: Cellar) -> None:
    """Two slips a day for a month do not use up her tries."""
    claire = await house.enrol()
    for _ in range(12):
        house.clock.forward(60)
        session = await first_step(house, claire)
        for _ in range(2):
            again = (await house.login.code(session, "000000", HOME)).session
            assert again is not None
            session = again
        assert (await house.login.code(session, claire.code(house.clock), HOME)).verdict == Accept()


async def test_a_token_opens_one_level_only(house: Cellar) -> None:
    """One planted before the sign-in, or seen after the password, opens nothing later (session fixation)."""
    claire = await house.enrol()
    half = await first_step(house, claire)
    full = (await house.login.code(half, claire.code(house.clock), HOME)).session
    assert full is not None
    assert full.token != half.token
    assert await house.sessions.read(half.token) is None


async def test_a_full_session_is_no_way_to_try_codes(house: Cellar) -> None:
    """The code step belongs to the half-open session."""
    claire = await house.enrol()
    full = (await signed_in(house, claire)).session
    assert full is not None
    house.clock.forward(60)
    assert (await house.login.code(full, claire.code(house.clock), HOME)).verdict == WRONG


async def test_sessions_end_when_left_alone_and_after_half_a_day(house: Cellar) -> None:
    """A waiting room's computer forgets her."""
    claire = await house.enrol()
    full = (await signed_in(house, claire)).session
    assert full is not None
    for _ in range(ABSOLUTE_S // 600 - 1):
        house.clock.forward(600)
        alive = await house.sessions.read(full.token)
        assert alive is not None
        await house.sessions.touch(alive)
    house.clock.forward(601)
    assert await house.sessions.read(full.token) is None, "half a day is over"
    other = (await signed_in(house, claire)).session
    assert other is not None
    house.clock.forward(IDLE_S[Level.FULL] + 1)
    assert await house.sessions.read(other.token) is None
    half = await first_step(house, claire)
    house.clock.forward(IDLE_S[Level.PASSWORD] + 1)
    assert await house.sessions.read(half.token) is None
    assert await house.sessions.sweep() == 3


async def test_signing_out_ends_this_browser_or_all(house: Cellar) -> None:
    """And says so in the audit."""
    claire = await house.enrol()
    sessions = []
    for _ in range(3):
        house.clock.forward(60)
        sessions.append((await signed_in(house, claire)).session)
    one, two, three = sessions
    assert one is not None and two is not None and three is not None  # noqa: PT018
    await house.login.sign_out(one)
    assert await house.sessions.read(one.token) is None
    assert await house.sessions.read(two.token) is not None
    await house.login.sign_out_everywhere(three)
    assert await house.sessions.read(two.token) is None
    assert await house.sessions.read(three.token) is None
    assert (await acts(house, claire.owner))[-2:] == ["login.out", "login.out-everywhere"]


async def test_the_store_alone_cannot_use_or_read_a_session(house: Cellar) -> None:
    """Neither the cookie nor what the session remembers stands in a row."""
    claire = await house.enrol()
    entry = await house.login.password(claire.login, PASSWORD, HOME, next_page="/inbox/424242")
    assert entry.session is not None
    rows = await house.store.read(lambda c: repr(list(c.execute(text("SELECT * FROM session")))))
    assert entry.session.token not in rows
    assert "424242" not in rows
    found = await house.sessions.read(entry.session.token)
    assert found is not None
    assert found.notes["next"] == "/inbox/424242"


async def test_what_is_no_token_is_no_session(house: Cellar) -> None:
    """Garbage in a cookie is a visitor without one."""
    for token in ("", "x", "A" * 43, "é" * 43, "A" * 100_000):
        assert await house.sessions.read(token) is None


async def test_neighbours_of_one_network_are_one_address_only_in_ipv6() -> None:
    """A customer has a /64; an IPv4 address is one box."""
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1")
    assert network_of("192.0.2.7") != network_of("192.0.2.8")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") != network_of("::ffff:192.0.2.8")
