"""How do processes tell what happens? JSON lines on stderr, all alike, for whoever collects them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog


def log_to_stderr(level: str, name: str) -> None:
    """JSON lines with ids and reasons; never names, subjects, bodies, INS."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)

    def named(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = name
        return event

    encoder = json.JSONEncoder(sort_keys=True, default=repr)  # made once; json.dumps would make one for each line

    def rendered(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        return encoder.encode(event)

    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # a mail is a line: building the logger again costs more than writing it
    )
