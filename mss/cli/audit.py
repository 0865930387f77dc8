"""`mss audit verify|checkpoint`: is the chain whole, and what does it end with?"""

from __future__ import annotations

import sys

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, finish, open_house, settings
from mss.config import Config
from mss.crypto.keys import load_signing
from mss.store import audit

app = typer.Typer(no_args_is_help=True, help="The audit chains.")


@app.command()
def verify(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Walk every chain; name each break."""
    count, breaks = finish(_verify(settings(config)))
    for line in breaks:
        print(line, file=sys.stderr)
    print(f"{count} rows, {len(breaks)} breaks")
    if breaks:
        raise typer.Exit(1)


async def _verify(config: Config) -> tuple[int, list[str]]:
    async with open_house(config) as ground:
        return await ground.store.read(audit.verify)


@app.command()
def checkpoint(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the signed heads of all chains. Keep a copy elsewhere: it shows truncation later."""
    sys.stdout.write(finish(_checkpoint(settings(config))).decode())


async def _checkpoint(config: Config) -> bytes:
    async with open_house(config) as ground:
        key = load_signing(config.keys_dir)
        return await ground.store.read(lambda c: audit.signed_heads(c, ground.clock.now(), key))
