"""`mss config check|show`: are the settings good, and what are they with their defaults?"""

from __future__ import annotations

import re

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, settings

_PASSWORD = re.compile(r"(://[^:@/]*):[^@]*@")

app = typer.Typer(no_args_is_help=True, help="Settings of this operator.")


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read the settings; say what is wrong, or that nothing is."""
    settings(config)
    print(f"{config}: good")


@app.command()
def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print every setting, defaults included, as JSON; the database's password is left out."""
    read = settings(config)
    shown = read.model_copy(update={"database_url": _PASSWORD.sub(r"\1:…@", read.database_url)})
    print(shown.model_dump_json(indent=1))
