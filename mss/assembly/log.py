"""How do processes tell what happens? JSON lines on stderr, all alike, for whoever collects them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from mss.model.clock import SystemClock

_LEVELS = {"exception": "error", "warn": "warning"}  # how a method's lines are told; the others by their own name


def log_to_stderr(level: str, name: str) -> None:
    """JSON lines with ids and reasons; never names, subjects, bodies, INS."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)

    clock = SystemClock()
    encoder = json.JSONEncoder(sort_keys=True, default=repr)  # made once; json.dumps would make one for each line

    def rendered(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        """All that there is to do in one call: a mail is a line."""
        event["process"] = name
        event["level"] = _LEVELS.get(method, method)
        event["timestamp"] = clock.now().isoformat().replace("+00:00", "Z")
        return encoder.encode(event)

    structlog.configure(
        processors=[rendered],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # a mail is a line: building the logger again costs more than writing it
    )
