"""A breach of the door that strangers reach: with everything that the edge has, no stored message opens."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mss import config
from mss.crypto import seal
from mss.crypto.keys import FileKeyWrapper, load_private, load_public
from mss.crypto.seal import KeyPair
from mss.model.clock import SystemChance
from mss.model.errors import BadValue, SealBroken
from mss.model.ids import OwnerId
from mss.store.sealing import SCHEME_SHELF, key_context
from mss.vault.opener import keys_from_private, wrapping_context
from tests.kit import memory
from tests.kit.demo import Demo, letter, on_the_wire, until
from tests.kit.laboratory import plain_mail, send

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("edge"), pytest.mark.timeout(240)]

DOCTOR = "camille.lefort@ville.mssante.example"
TIERS = "bio@tiers.mssante.example"
PUBLIC = ("lookup.key", "outbound.public.key", "tasks.public.key", "held.public.key")
"""All that the edge needs of the operator's keys."""


@pytest.fixture(scope="module")
def own_demo() -> Iterator[Demo]:
    """A demo in which a patient and a doctor have mail and have looked at it."""
    running = Demo()
    try:
        running.start()
        hers = running.patient()["address"]
        send(running, hers, plain_mail(hers, "Question", "Comment allez-vous ?"))
        visitor = running.signed_in()
        until(lambda: visitor.get("/record").links(r"/record/[0-9]+"))
        assert visitor.get(visitor.get("/inbox").links(r"/inbox/[0-9]+")[0]).status == 200
        relay(running, "Avis")
        assert running.mails(DOCTOR)
        yield running
    finally:
        running.kill_everything()
        running.remove()


def relay(demo: Demo, subject: str) -> str:
    mail = letter(TIERS, DOCTOR, subject, "Bonjour.")
    demo.relay(TIERS, [DOCTOR], on_the_wire(mail))
    return str(mail["Message-ID"])


def keys_directory(demo: Demo) -> Path:
    return config.load(Path(demo.told["operator"]["config"])).keys_dir


def private_secrets(demo: Demo) -> dict[str, bytes]:
    """Every secret octet string that must not be in the edge: key files and private keys of mailboxes."""
    directory = keys_directory(demo)
    found = {path.name: path.read_bytes() for path in directory.iterdir() if path.name not in PUBLIC}
    assert {"wrapping.key", "audit-signing.key", "outbound.private.key", "tasks.private.key", "held.private.key"} == {
        *found
    }
    wrapper = FileKeyWrapper(found["wrapping.key"], SystemChance())
    for owner, wrapped in rows(demo, "SELECT owner, private_key_wrapped FROM mailbox"):
        private = wrapper.unwrap(wrapped, wrapping_context(owner))
        found[f"mailbox {owner}"] = private
        found[f"shelf {owner}"] = keys_from_private(OwnerId(owner), private, SystemChance()).shelf
    return found


def rows(demo: Demo, question: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{demo.state() / 'mss.db'}?mode=ro", uri=True, timeout=30)) as connection:
        return list(connection.execute(question))


def test_no_private_key_is_in_the_memory_of_the_edge(own_demo: Demo) -> None:
    """Searched as a debugger would; the same search finds them in desk and works, and a public key in the edge."""
    secrets, pids = private_secrets(own_demo), own_demo.pids()
    public = (keys_directory(own_demo) / "outbound.public.key").read_bytes()
    found = {name: memory.holds(pids[name], [*secrets.values(), public]) for name in ("edge", "desk", "works")}
    names = {octets: name for name, octets in secrets.items()}
    assert found["edge"] == {public}, [names[octets] for octets in found["edge"] if octets in names]
    assert secrets["wrapping.key"] in found["desk"]
    assert secrets["wrapping.key"] in found["works"]
    print(f"\n{len(secrets)} private keys: edge 0, desk {len(found['desk']) - 1}, works {len(found['works']) - 1}")
    directory = keys_directory(own_demo)
    assert not [path for path in memory.open_files(pids["edge"]) if directory in path.parents]


def test_no_key_is_in_the_memory_of_those_who_parse_what_strangers_sent(own_demo: Demo) -> None:
    """Sandbox workers are started before any key is loaded."""
    wanted = [*private_secrets(own_demo).values(), (keys_directory(own_demo) / "lookup.key").read_bytes()]
    workers = [child for name in ("desk", "works") for child in memory.children(own_demo.pids()[name])]
    assert len(workers) >= 2
    for worker in workers:
        assert not memory.holds(worker, wanted)


def test_what_the_edge_has_opens_nothing(own_demo: Demo) -> None:
    """Every key it is given, tried on every sealed thing; with the right one the same attempt opens it."""
    directory, chance = keys_directory(own_demo), SystemChance()
    public = load_public(directory)
    has = [(directory / name).read_bytes() for name in PUBLIC]
    assert set(has[1:]) == {public.outbound, public.tasks, public.held}
    boxes = rows(own_demo, "SELECT owner, private_key_wrapped FROM mailbox")
    keys = rows(own_demo, "SELECT owner, epoch, scheme, key FROM sealed_key")
    assert boxes
    assert keys
    right = private_secrets(own_demo)
    for owner, wrapped in boxes:
        for key in has:
            with pytest.raises(SealBroken):
                FileKeyWrapper(key, chance).unwrap(wrapped, wrapping_context(owner))
    for owner, epoch, scheme, sealed in keys:
        context = key_context(owner, epoch)
        for key in has:
            with pytest.raises(SealBroken):
                _open(key, sealed, context, scheme)
        opener = "shelf" if scheme == SCHEME_SHELF else "mailbox"
        assert _open(right[f"{opener} {owner}"], sealed, context, scheme)


def _open(key: bytes, sealed: bytes, context: bytes, scheme: int) -> bytes:
    if scheme == SCHEME_SHELF:
        return seal.decrypt(key, sealed, context)
    public = keys_from_private(OwnerId(1), key, SystemChance()).pair.public
    return seal.open_sealed(KeyPair(key, public), sealed, context)


def test_the_edge_takes_mail_on_a_machine_that_has_no_private_key(own_demo: Demo, tmp_path: Path) -> None:
    """Started alone with its four key files it delivers; what it wrote opens later where the keys are."""
    own_demo.stop()
    poor = tmp_path / "keys"
    poor.mkdir()
    for name in PUBLIC:
        shutil.copy(keys_directory(own_demo) / name, poor)
    settings = Path(own_demo.told["operator"]["config"])
    alone = settings.with_name("edge-alone.toml")
    alone.write_text(re.sub(r'keys_dir = ".*"', f'keys_dir = "{poor}"', settings.read_text()))
    with pytest.raises(BadValue):
        load_private(poor, SystemChance())
    command = [sys.executable, "-m", "mss.assembly", str(alone), "edge", "relay-in", "submission"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as edge:
        try:
            until(lambda: b"smtp.listening" in (tmp_path / "log").read_bytes())
            message_id = until(lambda: _taken(own_demo))
        finally:
            edge.send_signal(signal.SIGTERM)
    own_demo.start()
    assert message_id in [str(mail["Message-ID"]) for mail in own_demo.mails(DOCTOR)]


def _taken(demo: Demo) -> str | None:
    try:
        return relay(demo, "Sans clé privée")
    except OSError:
        return None  # still on its way up
