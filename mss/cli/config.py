"""`mss config check|show`: are the settings good, and what are they with their defaults?"""

from __future__ import annotations

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, settings

app = typer.Typer(no_args_is_help=True, help="Settings of this operator.")


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read the settings; say what is wrong, or that nothing is."""
    settings(config)
    print(f"{config}: good")


@app.command()
def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print every setting, defaults included, as JSON."""
    print(settings(config).model_dump_json(indent=1))
