"""`mss db upgrade|status|restored`: the tables of this version, and what a backup that was put back needs."""

from __future__ import annotations

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, fail, finish, open_house, settings, store_exists
from mss.config import Config
from mss.crypto.keys import create_key_files, has_key_files
from mss.model.clock import SystemChance, to_ms
from mss.store import create
from mss.store.restored import ANY_LANE, skip_ahead

app = typer.Typer(no_args_is_help=True, help="The operator's database.")


@app.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make the database, its tables and the operator's keys, or bring older tables up to this version."""
    read = settings(config)
    if tables_of(read)[0] and not has_key_files(read.keys_dir):
        fail(f"there are tables, but no keys in {read.keys_dir}: restore the keys, or nothing stored can be opened")
    try:
        create_key_files(read.keys_dir, SystemChance())
        read.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        fail(f"{problem.filename}: {problem.strerror}")
    finish(create.create_or_upgrade(read.url))
    print(f"{read.name}: the database is of this version")


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say which version the tables have."""
    print(f"tables are of version {current_tables(settings(config))}, as this program wants")


@app.command()
def restored(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say that a backup was put back: no UID that was told after it was made is given to another message.

    To be run with the server stopped. A SQLite file that was put in the place of another is noticed without it.
    """
    read = settings(config)
    current_tables(read)
    print(f"{finish(_skip_ahead(read))} folders go on past what mail programs may have been told")


async def _skip_ahead(config: Config) -> int:
    async with open_house(config) as ground:
        return await ground.store.write(ANY_LANE, lambda c: skip_ahead(c, to_ms(ground.clock.now())))


def current_tables(config: Config) -> str:
    """The version of the tables; ends the command when it is not the one that this program wants."""
    current, newest = tables_of(config)
    if not current:
        fail("there are no tables yet: run mss db upgrade")
    if current != newest:
        fail(f"tables are of version {current}, this program wants {newest}: stop the server, back up, mss db upgrade")
    return current


def tables_of(config: Config) -> tuple[str, str]:
    """(version of the tables, newest version); the first is empty without tables."""
    return finish(create.versions(config.url)) if store_exists(config) else ("", "")
