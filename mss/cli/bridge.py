"""`mss bridge sources`: what the bridge fetches elsewhere."""

from __future__ import annotations

from typing import Any

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.model.ids import MailAddress
from mss.store import fetched

app = typer.Typer(no_args_is_help=True, help="From mail to record.")


@app.command()
def sources(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Application mailboxes at other operators: what was fetched from each, and what became of it."""
    rows = finish(_sources(settings(config)))
    columns = ("name", "host", "user", "into", "filed", "held", "left", "refused", "untaken", "pending")
    show(rows, as_json=as_json, columns=columns, empty="no source in the settings (bridge.sources)")


async def _sources(config: Config) -> list[dict[str, Any]]:
    from mss.assembly.sources import fetchers

    words = (fetched.FILED, fetched.HELD, fetched.LEFT, fetched.REFUSED, fetched.UNTAKEN)
    rows: list[dict[str, Any]] = []
    async with open_house(config) as ground:
        for fetcher in fetchers(ground, config):
            section = config.bridge.sources[fetcher.name]
            box = await ground.recipients.reachable(MailAddress.parse(section.into))
            found: dict[str, int] = {}
            if box is not None:
                owner, source = box.owner, fetcher.source
                found = await ground.store.read(lambda c, owner=owner, source=source: fetched.tally(c, owner, source))  # type: ignore[misc]
            told = {"name": fetcher.name, "host": section.host, "user": section.user, "into": section.into}
            rows.append(told | {word: found.get(word, 0) for word in words} | {"pending": found.get("", 0)})
    return rows
