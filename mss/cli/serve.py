"""`mss serve`: which processes, with which roles, for which settings."""

from __future__ import annotations

from pathlib import Path

from mss.assembly.log import log_to_stderr
from mss.config import Config, run_directory
from mss.cradle import die_with_parent
from mss.model.errors import BadValue
from mss.supervisor import Supervisor

PARTS = {
    "edge": ("relay-in", "submission"),
    "desk": ("imap", "web", "fhir", "ldap"),
    "works": ("relay-out", "runner"),
}
"""What each process does (docs/floors.md): the edge reads nothing that is stored, the desk serves, the works file."""


def parts_of(only: list[str]) -> dict[str, list[str]]:
    """Processes and their roles. Raises BadValue for a role that does not exist."""
    known = {role for roles in PARTS.values() for role in roles}
    unknown = [role for role in only if role not in known]
    if unknown:
        raise BadValue(f"--only: no role {unknown[0]}; there are {', '.join(sorted(known))}")
    chosen = {name: [role for role in roles if not only or role in only] for name, roles in PARTS.items()}
    return {name: roles for name, roles in chosen.items() if roles}


async def run_operator(path: Path, config: Config, only: list[str]) -> None:
    """Start the processes and stay until a signal. Raises BadValue."""
    parts = parts_of(only)
    die_with_parent()
    log_to_stderr(config.log_level, "supervisor")
    supervisor = Supervisor(path, parts, run_directory(config))
    try:
        await supervisor.start()
    except RuntimeError as problem:
        raise BadValue(str(problem)) from problem
    await supervisor.run()
