"""`mss incident export ID`: what happened, who saw it, who was told; ids and reasons only."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption
from mss.cli.record import ACTOR, at_desk

app = typer.Typer(no_args_is_help=True, help="Reports of what was corrected in records.")


@app.callback()
def reports() -> None:
    """A group, so that `export` is a word of its own."""


@app.command()
def export(
    number: Annotated[int, typer.Argument(help="The id in mss record list.")], config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """The report as JSON. The printable page is at the desk. The look is written down."""
    found = at_desk(config, lambda desk: desk.corrections.book.incident(number, ACTOR))
    print(json.dumps(found.fields(), ensure_ascii=False, indent=1))
