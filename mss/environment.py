"""What does the environment say over the file? `MSS_A__B=value` is setting `b` of section `a`.

Apart from config.py, and imported only when a variable is set: every process of ours reads the configuration, and
pydantic-settings is a tenth of the edge's start.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError
from pydantic_settings.sources import PydanticBaseSettingsSource

from mss.model.errors import BadValue


class _Variables(BaseSettings):
    """How they are named."""

    model_config = SettingsConfigDict(env_prefix="MSS_", env_nested_delimiter="__")


def overlaid(model: type[BaseModel], settings: dict[str, Any]) -> dict[str, Any]:
    """The file's settings with the environment's over them, down to one value of a section.
    Raises BadValue for a variable that should hold JSON and does not."""
    source: PydanticBaseSettingsSource = EnvSettingsSource(_named_like(model))
    try:
        return _merged(settings, source())
    except SettingsError as problem:
        raise BadValue(str(problem)) from problem


def _named_like(model: type[BaseModel]) -> type[BaseSettings]:
    return type("Variables", (model, _Variables), {})


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for name, value in over.items():
        beneath = result.get(name)
        result[name] = _merged(beneath, value) if isinstance(value, dict) and isinstance(beneath, dict) else value
    return result
