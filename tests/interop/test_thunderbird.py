"""Thunderbird, as Debian has it, at the desk of a professional: it finds us, reads, answers, searches, is pushed mail.

The journey (thunderbird_inside.py) runs in namespaces of its own: names and the well-known ports without touching
those of this machine, and nothing that it started outlives it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import programs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("thunderbird"), pytest.mark.timeout(420)]

OWN_WORLD = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
JOURNEY_S_MAX = 400


def test_a_professional_works_with_thunderbird(tmp_path: Path) -> None:
    """Pictures of each step lie where MSS_SCREENSHOTS says, else with the test's other files."""
    for program in ("thunderbird", "Xvfb"):
        programs.require(program)
    if subprocess.run([*OWN_WORLD, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may make no namespaces: run as root, or in a container that may")
    journey = Path(__file__).with_name("thunderbird_inside.py")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", str(journey)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    if setpriv := programs.find("setpriv"):  # killed tests leave nothing behind
        command = [str(setpriv), "--pdeathsig=KILL", "--", *OWN_WORLD, *command]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'inside'}"],
        capture_output=True,
        text=True,
        timeout=JOURNEY_S_MAX,
        check=False,
        env=environment | {"MSS_SCREENSHOTS": os.environ.get("MSS_SCREENSHOTS", str(tmp_path / "pictures"))},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
