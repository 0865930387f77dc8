"""How long must a client wait before its next command? Nobody is refused for haste; a loop is slowed down. Pure."""

from __future__ import annotations


class Pace:
    """So many commands at once are free, and then so many a second."""

    __slots__ = ("_ahead_s", "_step_s", "_until_s")

    def __init__(self, commands_per_s: float, burst: int) -> None:
        self._step_s = 1 / commands_per_s
        self._ahead_s = burst / commands_per_s
        self._until_s = 0.0
        """When all commands so far would have been served at the steady pace."""

    def wait_s(self, now_s: float) -> float:
        """A command is there: seconds to wait before it is served."""
        self._until_s = max(self._until_s, now_s) + self._step_s
        return max(0.0, self._until_s - now_s - self._ahead_s)
