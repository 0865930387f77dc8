"""What kills would otherwise wait for: the supervisor's pause grows while a process keeps dying, up to half a minute.

Python finds this file where its folder stands in PYTHONPATH; `sitecustomize` beside it, or one that plants a bug, asks.
"""

import sys

RESTART_S = 0.2


def hurry() -> None:
    """Only in what `mss serve` starts; a process that dies is started again at once, however often it died."""
    if "serve" in sys.orig_argv:
        from mss import supervisor

        supervisor.RESTART_MAX_S = RESTART_S
