"""Mail clients and software sign in: application passwords, client certificates."""

from __future__ import annotations

import time

import pytest

from mss.accounts.software import SoftwareLogin, certificate_hash, make_application_password
from mss.model.errors import BadValue
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import accounts
from mss.store.accounts import CredentialKind
from tests.kit.people import Cellar

DOCTOR = "anne.petit@ville.mssante.example"
SUBJECT = "CN=labo.mssante.example,OU=AC,O=Laboratoire,C=FR"


@pytest.fixture
def software(house: Cellar) -> SoftwareLogin:
    return SoftwareLogin(house.store, house.public.lookup, house.clock, house.chance)


async def test_an_application_password_signs_in_to_its_mailbox_only(house: Cellar, software: SoftwareLogin) -> None:
    """With or without dashes and capitals; somebody else's, a cut one and none do not."""
    anne, other = await house.professional(DOCTOR), await house.professional("bruno@ville.mssante.example")
    secret, verifier = make_application_password(house.public.lookup, house.chance)
    theirs, their_verifier = make_application_password(house.public.lookup, house.chance)
    await house.accounts.add_credential(anne, CredentialKind.APPLICATION_PASSWORD, verifier)
    await house.accounts.add_credential(other, CredentialKind.APPLICATION_PASSWORD, their_verifier)
    assert await software.application_password(DOCTOR, secret) == anne
    assert await software.application_password(DOCTOR.upper(), secret.replace("-", " ").upper()) == anne
    for wrong in (theirs, secret[:-1], secret + "a", "", "\x00", "é" * 1000):
        assert await software.application_password(DOCTOR, wrong) is None


async def test_nobody_signs_in_with_what_is_no_address_or_to_what_is_closed(
    house: Cellar, software: SoftwareLogin
) -> None:
    """All refusals look alike."""
    anne = await house.professional(DOCTOR)
    secret, verifier = make_application_password(house.public.lookup, house.chance)
    await house.accounts.add_credential(anne, CredentialKind.APPLICATION_PASSWORD, verifier)
    for address in ("anne", "", "nobody@ville.mssante.example", '"a b"@ville.mssante.example'):
        assert await software.application_password(address, secret) is None
    await house.set_state(anne, AccountState.CLOSED)
    assert await software.application_password(DOCTOR, secret) is None


async def test_a_revoked_application_password_is_dead_at_once(house: Cellar, software: SoftwareLogin) -> None:
    """No cache remembers it."""
    anne = await house.professional(DOCTOR)
    secret, verifier = make_application_password(house.public.lookup, house.chance)
    await house.accounts.add_credential(anne, CredentialKind.APPLICATION_PASSWORD, verifier)
    assert await software.application_password(DOCTOR, secret) == anne
    await house.store.write(0, lambda c: accounts.delete_credentials(c, anne, CredentialKind.APPLICATION_PASSWORD))
    assert await software.application_password(DOCTOR, secret) is None


async def test_application_passwords_are_long_random_and_not_kept(house: Cellar) -> None:
    """120 bits in six groups that can be read over the telephone."""
    made = [make_application_password(house.public.lookup, house.chance) for _ in range(50)]
    assert len({secret for secret, _ in made}) == 50
    for secret, verifier in made:
        assert [len(group) for group in secret.split("-")] == [4] * 6
        assert secret.replace("-", "").encode() not in verifier


async def test_checking_an_application_password_is_quick(house: Cellar, software: SoftwareLogin) -> None:
    """A mail client signs in every minute; a hundred of them are no load."""
    anne = await house.professional(DOCTOR)
    secret, verifier = make_application_password(house.public.lookup, house.chance)
    await house.accounts.add_credential(anne, CredentialKind.APPLICATION_PASSWORD, verifier)
    start = time.process_time()
    for _ in range(100):
        assert await software.application_password(DOCTOR, secret) == anne
    assert time.process_time() - start < 1.5


async def test_a_certificate_signs_in_to_the_mailbox_it_was_given_to(house: Cellar, software: SoftwareLogin) -> None:
    """However its subject is spaced; another subject does not; and it is given once."""
    robot = await house.professional("robot@labo.mssante.example", MailboxKind.APPLICATION)
    other = await house.professional("autre@labo.mssante.example", MailboxKind.APPLICATION)
    await software.allow_certificate(robot, SUBJECT)
    await software.allow_certificate(robot, SUBJECT)
    assert await software.certificate(SUBJECT) == robot
    assert await software.certificate(SUBJECT.replace(",", ", ")) == robot
    assert await software.certificate(SUBJECT.replace("Laboratoire", "Autre")) is None
    assert await software.certificate("garbage") is None
    with pytest.raises(BadValue):
        await software.allow_certificate(other, SUBJECT)
    await house.store.write(0, lambda c: accounts.delete_credentials(c, robot, CredentialKind.CERTIFICATE))
    assert await software.certificate(SUBJECT) is None


def test_a_subject_has_one_hash_however_it_is_written(house: Cellar) -> None:
    """Spaces and quotes are writing, not meaning."""
    lookup = house.public.lookup
    assert certificate_hash(lookup, SUBJECT) == certificate_hash(
        lookup, 'CN="labo.mssante.example", OU=AC, O=Laboratoire, C=FR'
    )
