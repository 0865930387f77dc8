"""`mss db upgrade|status`: the tables of this version."""

from __future__ import annotations

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, fail, finish, settings
from mss.crypto.keys import create_key_files
from mss.model.clock import SystemChance
from mss.store import create

app = typer.Typer(no_args_is_help=True, help="The operator's database.")


@app.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make the database, its tables and the operator's keys, or bring older tables up to this version."""
    read = settings(config)
    create_key_files(read.keys_dir, SystemChance())
    read.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    finish(create.create_or_upgrade(read.url))
    print(f"{read.name}: the database is of this version")


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say which version the tables have."""
    read = settings(config)
    current, newest = finish(create.versions(read.url))
    if not current:
        fail("there are no tables yet: run mss db upgrade")
    if current != newest:
        fail(f"tables are of version {current}, this program wants {newest}: stop the server, back up, mss db upgrade")
    print(f"tables are of version {current}, as this program wants")
