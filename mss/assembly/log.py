"""How do processes tell what happens? JSON lines on stderr, all alike, for whoever collects them."""

from __future__ import annotations

import logging
import sys

import structlog


def log_to_stderr(level: str, name: str) -> None:
    """JSON lines with ids and reasons; never names, subjects, bodies, INS."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=name)
