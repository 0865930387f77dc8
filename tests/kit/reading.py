"""How the tests of the house read the house: sources, tables of the pages, pins of the locks."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One file of Python."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return parsed(self.text)


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def tracked() -> tuple[str, ...]:
    """Files under version control; an unpacked archive has none, so there everything counts."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, timeout=20
    )
    if listing.returncode == 0 and listing.stdout:
        return tuple(path for path in listing.stdout.split("\0") if path and (CHECKOUT / path).is_file())
    every = (path.relative_to(CHECKOUT) for path in CHECKOUT.rglob("*") if path.is_file())
    return tuple(str(path) for path in every if not path.parts[0].startswith("."))


def text_of(path: str) -> str | None:
    try:
        return (CHECKOUT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None  # a picture, a font


def sources(*folders: str) -> list[Source]:
    wanted = tuple(f"{folder}/" for folder in folders)
    found = [
        Source(path, text_of(path) or "") for path in tracked() if path.startswith(wanted) and path.endswith(".py")
    ]
    assert found
    return found


def inside_functions(tree: ast.AST, function: str = "<module>") -> Iterator[tuple[str, ast.AST]]:
    """Every node with the name of the function around it."""
    for node in ast.iter_child_nodes(tree):
        yield function, node
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from inside_functions(node, name)


def names_in(node: ast.AST) -> set[str]:
    return {dotted(inner).split(".")[-1] for inner in ast.walk(node) if isinstance(inner, ast.Name | ast.Attribute)}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def table(path: str, title: str) -> list[list[str]]:
    """Cells of the rows under a heading that begins with `title` ("" = the whole page), heads left out."""
    page = (CHECKOUT / path).read_text(encoding="utf-8")
    if title:
        section = re.search(rf"^#+ {re.escape(title)}.*?$(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
        assert section, f"{path} has no section {title!r}"
        page = section.group(1)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows]


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(text: str) -> dict[str, str]:
    """Package name to its whole pin, hashes included."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [re.sub(r"\s+", " ", line.split(" #")[0]).strip() for line in joined.splitlines()]
    return {normal(line): line for line in lines if line and not line.startswith("#")}


def normal(requirement: str) -> str:
    """The name in front of a requirement, as the registries compare names (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()
