"""Broken promises, told apart by whose fault they are.

An expected refusal is a `Verdict` (model/verdict.py), not an exception. What is raised here stops one
item at the edge of a task or a connection, never the house.
"""

from __future__ import annotations

from mss.model.verdict import Reason


class MssError(Exception):
    """Root of every error of ours."""


class BadValue(MssError, ValueError):
    """A value from outside that no type of ours accepts (an address, an identifier, a date)."""


class Malformed(MssError):
    """Bytes from outside that break their format or one of its limits.

    `reason` names the rule for replies and logs; `detail` is for our log and never holds content.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class StorageUnavailable(MssError):
    """The store could not make something durable; nothing was acknowledged, try again later."""


class NotFound(MssError):
    """The object does not exist, or is somebody else's: both look alike from outside."""


class SealBroken(MssError):
    """A ciphertext did not open: wrong key, wrong place or altered bytes."""


class SandboxFailed(MssError):
    """The sandbox worker died, ran out of time or memory, or answered nonsense. The item is held."""


class NotYet(MssError):
    """A duty cannot be done now for a reason that is not its own (a daemon is down): again after `after_s` seconds,
    however often."""

    def __init__(self, after_s: float, why: str) -> None:
        super().__init__(why)
        self.after_s = after_s
