"""`mss directory publish` against another operator's directory, in a process of its own, as an administrator plays."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mss.assembly.publishing import publication_of
from mss.cli.common import open_house, settings
from tests.cli.conftest import Operator
from tests.kit.fhirdoor import TOKEN
from tests.kit.frenchpeople import finess
from tests.kit.pki import Pki, pki
from tests.kit.reading import CHECKOUT

__all__ = ["pki"]

BOX = "urgences@chu.mssante.example"


@pytest.fixture
def peer(tmp_path: Path, pki: Pki) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The other directory, and its port."""
    pki.hospital.write(tmp_path, "server")
    command = [sys.executable, "-m", "tests.kit.directorychild", str(tmp_path)]
    child = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = (line.strip() for line in child.stdout)
    yield child, next(int(line) for line in lines if line.isdigit())
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.fixture
def desk(new_operator: Callable[..., Operator], pki: Pki, peer: tuple[object, int]) -> Operator:
    """An operator with a team of which the other directory knows nothing yet."""
    made = new_operator()
    (made.directory / "ca.pem").write_bytes(pki.authority.bundle_pem)
    made.file("ours.token", TOKEN)
    section = f'[directory.publishing]\nurl = "https://localhost:{peer[1]}/fhir"\nauthorities = "ca.pem"\n'
    made.file("mss.toml", f'{made.config.read_text()}\n{section}token_file = "ours.token"\n')
    assert made.mss("db", "upgrade").code == 0
    team = ("mailbox", "create", BOX, "--name", "Urgences", "--kind", "ORG", "--national-id", finess(90))
    assert made.mss(*team).code == 0
    return made


async def send(desk: Operator) -> int:
    """What works do with what is on its way."""
    async with open_house(settings(desk.config)) as ground:
        publication = publication_of(ground, ground.private())
        try:
            return await publication.round()
        finally:
            await publication.close()


def test_staff_see_what_would_be_said_and_bring_it(desk: Operator, peer: tuple[subprocess.Popen[str], int]) -> None:
    """Dry run, publish, reconcile, status: each says what is so; a directory that is away or does not know us is told
    in one line."""

    def would() -> list[dict[str, str]]:
        said = desk.mss("directory", "publish", "--dry-run", "--json")
        assert said.code == 0, said.err
        return list(json.loads(said.out))

    def published() -> str:
        return str(json.loads(desk.mss("directory", "publish", "--status", "--json").out)["mailboxes"][0]["published"])

    for _ in range(2):  # looking changes nothing
        assert would() == [{"mailbox": BOX, "would": "be said"}]
    assert published() == "waits"
    assert desk.mss("directory", "publish").out.startswith("1 on their way")
    assert asyncio.run(send(desk)) == 1
    assert (would(), published()) == ([], "yes")
    command = [sys.executable, "-m", "mss", "directory", "publish", "--reconcile", "--config", str(desk.config)]
    told = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("1 asked for, 0 differ, 0 on their way\n", "")
    assert desk.mss("directory", "describe", BOX, "--description", "Lettres").code == 0
    assert would() == [{"mailbox": BOX, "would": "be said"}]
    assert desk.mss("directory", "describe", BOX, "--unlisted").code == 0
    assert asyncio.run(send(desk)) == 1
    assert would() == []

    desk.file("ours.token", "jeton-que-personne-ne-connaît".replace("î", "i"))
    peer_is = {"not ours": "HTTP 401", "away": "no connection"}
    assert desk.mss("directory", "describe", BOX, "--no-unlisted", "--holder", f"1{finess(90)}").code == 0
    for how, why in peer_is.items():
        if how == "away":
            peer[0].kill()
            peer[0].wait()
        said = desk.mss("directory", "publish", "--dry-run")
        assert (said.code, why in said.err, said.err.count("\n")) == (1, True, 1), said.err
