"""The life of one worker: read a question, do the job, write the answer, until the house hangs up.

Runs in a confined child of the nursery. A refusal (Malformed) is an answer like another; any other error is told
by its type alone, never by its text, which may hold what the stranger wrote, and ends the worker.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from mss.model.errors import Malformed
from mss.sandbox.confine import renew_cpu
from mss.sandbox.frames import Assembly, BadFrame, Frame, pack
from mss.sandbox.limits import Limits

Params = Mapping[str, Any]
Blobs = tuple[bytes, ...]
Job = Callable[[Params, Blobs], tuple[Mapping[str, Any], list[bytes]]]


def serve(channel: io.FileIO, jobs: Mapping[str, Job], limits: Limits, hello: Mapping[str, Any]) -> None:
    """Say hello, then work until the house hangs up or a job fails."""
    _send(channel, hello, [], limits)
    while (question := _receive(channel, limits)) is not None:
        renew_cpu(limits)
        said, blobs = _answer(question, jobs)
        del question  # its bytes make room for the answer's
        try:
            _send(channel, said, blobs, limits)
        except (BadFrame, TypeError, ValueError, MemoryError) as problem:  # too large, or no JSON
            said = {"failed": type(problem).__name__}
            _send(channel, said, [], limits)
        if "failed" in said:
            return


def _answer(question: Frame, jobs: Mapping[str, Job]) -> tuple[Mapping[str, Any], list[bytes]]:
    try:
        result, blobs = jobs[question.said["job"]](question.said["params"], question.blobs)
    except Malformed as refusal:
        return {"refused": refusal.reason.value, "detail": refusal.detail}, []
    except Exception as problem:  # noqa: BLE001 — the edge of a task: whatever a library raises ends this job alone
        return {"failed": type(problem).__name__}, []
    return {"done": result}, blobs


def _receive(channel: io.FileIO, limits: Limits) -> Frame | None:
    """The next question, or None when the house hung up."""
    assembly = Assembly(limits, limits.request_bytes_max)
    while True:
        count = channel.readinto(assembly.room())
        if not count:
            return None
        if (frame := assembly.received(count)) is not None:
            return frame


def _send(channel: io.FileIO, said: Mapping[str, Any], blobs: list[bytes], limits: Limits) -> None:
    for piece in pack(said, blobs, limits, limits.answer_bytes_max):
        view = memoryview(piece)
        while view:
            view = view[channel.write(view) :]
