"""docs/configuration.md, written from mss/config.py and mss/sections.py: `make pages` writes it, a test compares it.

Reads the source instead of the classes, because a setting's explanation is the text below it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from tests.kit.reading import CHECKOUT, dotted, text_of

PAGE = CHECKOUT / "docs/configuration.md"
TOP = "Config"
KINDS = {
    "str": "text",
    "Path": "file",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Port": "port",
    "Count": "whole number, at least 1",
    "Days": "number of days, 1 to 3650",
    "tuple[str, ...]": "list of texts",
    "tuple[Path, ...]": "list of files",
}

HEAD = """# Configuration

<!-- Written by `make pages` from mss/config.py and mss/sections.py. Change it there. -->

One TOML file. Paths in it are relative to it. A setting `b` of section `a` may also come from the environment variable
`MSS_A__B`, which wins over the file. A wrong file is refused with one line for each wrong setting; an unknown
setting is wrong, so that a slip of the pen is not a silent default.
"""

TABLE_HEAD = "| setting | kind | default | what it decides |\n| --- | --- | --- | --- |"


@dataclass
class Section:
    """A class of settings: its docstring, and a row for each setting."""

    name: str
    about: str
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)


def render() -> str:
    """The whole page."""
    trees = [
        ast.parse(text_of(f"mss/{name}.py") or "") for name in ("config", "sections", "bridgesections", "sinksections")
    ]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    sections = {node.name: _section(node) for node in classes}
    shown = [sections[TOP], *(s for s in sections.values() if s.name != TOP and s.rows)]
    parts = [HEAD]
    for section in shown:
        title = "Top level" if section.name == TOP else f"Section {section.name}"
        parts.append(f"## {title}\n\n{section.about}\n\n{TABLE_HEAD}")
        parts[-1] += "".join("\n| " + " | ".join(row) + " |" for row in section.rows) + "\n"
    return "\n".join(parts)


def _section(node: ast.ClassDef) -> Section:
    section = Section(node.name, ast.get_docstring(node) or "")
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            about = " ".join(str(following.value.value).split()) if is_text else ""  # type: ignore[union-attr]
            row = (f"`{statement.target.id}`", _kind(statement.annotation), _default(statement.value), about)
            section.rows.append(row)
    return section


def _kind(annotation: ast.expr) -> str:
    text = ast.unparse(annotation).removesuffix(" | None")
    if text.startswith("dict["):
        return f"table of {_linked(text.split(', ')[-1].rstrip(']'))}"
    if text not in KINDS and text.startswith("tuple["):
        return f"list of {_linked(text.removeprefix('tuple[').removesuffix(', ...]'))}"
    return KINDS.get(text) or _linked(text)


def _linked(section: str) -> str:
    return f"[{section}](#section-{section.lower()})"


def _default(value: ast.expr | None) -> str:
    if value is None:
        return "**needed**"
    if isinstance(value, ast.Call) and dotted(value.func) == "Field":
        limits = [f"{_LIMITS[k.arg]} {ast.unparse(k.value)}" for k in value.keywords if k.arg in _LIMITS]
        told = _plain(value.args[0]) if value.args else "**needed**"
        return told + (f" ({', '.join(limits)})" if limits else "")
    return _plain(value)


def _plain(value: ast.expr) -> str:
    plain = ast.unparse(value)
    if plain in ("None", "''", "()", "{}") or isinstance(value, ast.Call):  # a section's defaults are in its own table
        return ""
    return f"`{plain.strip(chr(39))}`".replace("True", "true").replace("False", "false")


_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "min_length": "at least"}


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
