"""Encrypted and signed mail: opened for the bridge, checked, its verdict kept; what is shut or does not fit is held."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mss.bridge.unsealing import Unsealer
from mss.crypto.authority import Authority, Issued
from mss.crypto.pgp import OpenPgp
from mss.crypto.signers import SignerLists
from mss.crypto.smime import Smime
from mss.formats import mime
from mss.model.clock import ManualClock
from mss.model.ids import MailAddress
from mss.model.signature import Signature
from mss.sandbox.pool import Sandbox
from tests.kit.demo import all_pids
from tests.kit.documents import ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, House
from tests.kit.pki import HOSPITAL as HOSPITAL_SUBJECT
from tests.kit.pki import LAB, Pki
from tests.kit.sealing_tools import Pgp, smime_encrypted, smime_signed

BRIDGE, STRANGER = f"bridge@{HOSPITAL}", "inconnu@ailleurs.mssante.example"
OLD = "ancien@labo.mssante.example"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def pgp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgp]:
    """Everybody's keys."""
    made = Pgp(tmp_path_factory.mktemp("pgp"))
    for address in (BRIDGE, str(LABORATORY), STRANGER):
        made.make(address)
    made.make(OLD, expires="30d", long_ago=True)
    made.give_secret(BRIDGE)
    made.publish(str(LABORATORY))
    yield made
    made.close()


class People:
    """Certificates: of the bridge, of the laboratory, of one whom no authority of ours knows."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        other = Authority.create("AUTRE", now=pki.now)
        self.bridge = pki.authority.issue_client(HOSPITAL_SUBJECT, now=pki.now, mail=BRIDGE)
        self.laboratory = pki.authority.issue_client(LAB, now=pki.now, mail=str(LABORATORY))
        self.stranger = other.issue_client(LAB, now=pki.now, mail=STRANGER)
        old = pki.now - timedelta(days=1500)
        self.expired = pki.authority.issue_client(LAB, now=old, mail=str(LABORATORY))
        (folder / "bridge.pem").write_bytes(self.bridge.certificate_pem)
        (folder / "bridge.key").write_bytes(self.bridge.key_pem)
        (folder / "authorities.pem").write_bytes(pki.authority.bundle_pem)
        self.files = folder / "bridge.pem", folder / "bridge.key", folder / "authorities.pem"
        self.smime = Smime(*self.files)


@pytest.fixture
def people(pki: Pki, tmp_path: Path) -> People:
    return People(pki, tmp_path)


@pytest.fixture
def opened(house: House, sandbox: Sandbox, pgp: Pgp, people: People) -> House:
    """A house whose bridge has keys of both kinds."""
    house.read_with(sandbox, unsealer=Unsealer(OpenPgp(pgp.secret, pgp.senders), people.smime))
    return house


async def filed(house: House, mail: bytes) -> list[str]:
    """What became of a mail to Zoé: the verdicts kept with her documents, or the reason why it is held."""
    zoe = await house.enrol(ZOE)
    await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    held = [item.reason for item in await house.triage.held_list()]
    if held:
        assert await house.sees_nothing(zoe)
        return held
    return [view.entry.signature for view in await house.documents(zoe)]


def mail(house: House) -> bytes:
    to = MailAddress.parse(f"{ZOE.ins.value}@patient.mssante.example")
    return house.health_mail(to, make_cda(ZOE))


@pytest.mark.parametrize(
    ("signer", "expected"), [(str(LABORATORY), "valid"), ("", ""), (STRANGER, "signature-doubtful")]
)
async def test_pgp_mime_for_the_bridge_is_opened(opened: House, pgp: Pgp, signer: str, expected: str) -> None:
    """With the sender's signature inside, without one, and with that of somebody else under his name."""
    assert await filed(opened, pgp.encrypted(mail(opened), BRIDGE, signer=signer)) == [expected]


async def test_what_is_not_for_the_bridge_is_held(opened: House, pgp: Pgp) -> None:
    """It may hold documents, and nobody here can tell."""
    assert await filed(opened, pgp.encrypted(mail(opened), STRANGER)) == ["undecryptable"]


async def test_a_pgp_signature_is_checked(opened: House, pgp: Pgp) -> None:
    """The sender's own: kept with the document as valid."""
    assert await filed(opened, pgp.signed(mail(opened), str(LABORATORY))) == ["valid"]


async def test_one_octet_more_breaks_a_pgp_signature(opened: House, pgp: Pgp) -> None:
    """What was signed is not what came."""
    changed = pgp.signed(mail(opened), str(LABORATORY)).replace(b"Veuillez trouver", b"Veuillez  trouver")
    assert await filed(opened, changed) == ["signature-broken"]


async def test_a_signature_that_is_no_signature_is_broken(opened: House, pgp: Pgp) -> None:
    """It says that it is signed."""
    signed = pgp.signed(mail(opened), str(LABORATORY))
    assert await filed(opened, signed.replace(b"BEGIN PGP SIGNATURE", b"BEGIN PGP SIGNATURF")) == ["signature-broken"]


async def test_a_stranger_s_pgp_signature_is_as_good_as_none(opened: House, pgp: Pgp) -> None:
    """Of a sender of whom we have no key: filed, and said."""
    signed = pgp.signed(mail(opened).replace(str(LABORATORY).encode(), OLD.encode()), STRANGER)
    assert await filed(opened, signed) == ["stranger"]


async def test_a_key_whose_time_is_over_is_doubtful(opened: House, pgp: Pgp) -> None:
    """A human looks, and may say yes."""
    pgp.publish(OLD)
    try:
        signed = pgp.signed(mail(opened).replace(str(LABORATORY).encode(), OLD.encode()), OLD, long_ago=True)
        assert await filed(opened, signed) == ["signature-doubtful"]
    finally:
        (pgp.senders / f"{OLD}.asc").unlink()


async def test_a_bomb_stays_shut(opened: House, pgp: Pgp) -> None:
    """300 MiB of nothing in some kilobytes: not kept in memory, held."""
    bomb = mail(opened).replace(b"Veuillez trouver", b"\r\n" * (150 * 1024 * 1024))
    packed = pgp.encrypted(bomb, BRIDGE, compress=9)
    del bomb
    assert len(packed) < 2 * 1024 * 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await filed(opened, packed) == ["undecryptable"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


async def test_layers_have_an_end(opened: House, pgp: Pgp) -> None:
    """Signed in encrypted is read; four layers are nobody's mail program."""
    inner = pgp.signed(mail(opened), str(LABORATORY))
    assert await filed(opened, pgp.encrypted(inner, BRIDGE)) == ["valid"]
    packed = mail(opened)
    for _ in range(4):
        packed = pgp.encrypted(packed, BRIDGE)
    unsealer = Unsealer(OpenPgp(pgp.secret, pgp.senders), None)
    told = await unsealer.unseal(packed, mime.scan(packed), str(LABORATORY))
    assert told.problem is not None
    assert told.problem.detail == "too many layers"


async def test_nothing_of_gpg_is_left(opened: House, pgp: Pgp, monkeypatch: pytest.MonkeyPatch) -> None:
    """No agent, no home, no file."""
    with TemporaryDirectory(prefix="t-") as short:  # the name of a socket is short, and gpg's lies in its home
        place = Path(short)
        monkeypatch.setattr("tempfile.tempdir", short)
        assert await filed(opened, pgp.encrypted(mail(opened), BRIDGE)) == [""]
        assert not list(place.glob("mss-gpg-*"))
        commands = [Path(f"/proc/{pid}/cmdline") for pid in all_pids()]
        running = [path.read_bytes() for path in commands if path.exists()]
        assert not [command for command in running if str(place / "mss-gpg-").encode() in command]


async def test_smime_for_the_bridge_is_opened(opened: House, people: People, tmp_path: Path) -> None:
    """Enveloped data; what is for somebody else stays shut."""
    assert await filed(opened, smime_encrypted(mail(opened), people.bridge, tmp_path)) == [""]


async def test_smime_for_somebody_else_stays_shut(opened: House, people: People, tmp_path: Path) -> None:
    """Held."""
    assert await filed(opened, smime_encrypted(mail(opened), people.stranger, tmp_path)) == ["undecryptable"]


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize(
    ("who", "expected"), [("laboratory", "valid"), ("stranger", "stranger"), ("expired", "signature-doubtful"),
                          ("bridge", "signature-doubtful")]
)  # fmt: skip
async def test_an_smime_signature_is_checked(
    opened: House, people: People, tmp_path: Path, who: str, expected: str, opaque: bool
) -> None:
    """Detached or opaque: the sender's, a stranger's, one whose time is over, one of another address."""
    signer: Issued = getattr(people, who)
    assert await filed(opened, smime_signed(mail(opened), signer, tmp_path, opaque=opaque)) == [expected]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [("nobody", "valid"), ("her", "signature-doubtful"), ("leaves alone", "stranger"), ("old", "stranger"),
     ("none", "stranger")]
)  # fmt: skip
async def test_a_signer_who_was_taken_back_holds_the_mail(
    house: House, sandbox: Sandbox, people: People, pki: Pki, tmp_path: Path, lists: str, expected: str
) -> None:
    """With lists in the settings: what no current list speaks of is as good as none, never good."""
    taken_back = [people.laboratory.certificate] if lists == "her" else []
    at = pki.now - timedelta(days=400) if lists == "old" else pki.now
    files = [tmp_path / "leaves.crl", tmp_path / "root.crl"]
    files[0].write_bytes(pki.authority.crl(taken_back, now=at))
    files[1].write_bytes(pki.authority.root_crl(now=at))
    if lists == "leaves alone":
        files.pop()
    if lists == "none":
        files[0].write_bytes(b"-----BEGIN nonsense")
    signers = SignerLists(files, people.files[2], ManualClock(pki.now + timedelta(minutes=1)))
    house.read_with(sandbox, unsealer=Unsealer(None, Smime(*people.files, signers)))
    assert await filed(house, smime_signed(mail(house), people.laboratory, tmp_path)) == [expected]


async def test_one_octet_more_breaks_an_smime_signature(opened: House, people: People, tmp_path: Path) -> None:
    """What was signed is not what came."""
    signed = smime_signed(mail(opened), people.laboratory, tmp_path)
    assert await filed(opened, signed.replace(b"Veuillez trouver", b"Veuillez  trouver")) == ["signature-broken"]


async def test_signed_in_encrypted_smime(opened: House, people: People, tmp_path: Path) -> None:
    """As mail programs do it."""
    signed = smime_signed(mail(opened), people.laboratory, tmp_path)
    assert await filed(opened, smime_encrypted(signed, people.bridge, tmp_path)) == ["valid"]


async def test_without_keys_such_mail_is_what_it_was(house: House, pgp: Pgp) -> None:
    """A signed mail is read as before, and nobody says that its signature was checked."""
    assert await filed(house, pgp.signed(mail(house), str(LABORATORY))) == [Signature.NONE.value]
