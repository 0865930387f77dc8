"""The real jobs of the sandbox, but that a document with POISON in it kills its reader. Loaded in workers only."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mss.sandbox import jobs
from mss.sandbox.jobs import Result, warm_up
from mss.sandbox.worker import Blobs, Job, Params

__all__ = ["JOBS", "warm_up"]


def _deadly(job: Job) -> Job:
    def run(params: Params, blobs: Blobs) -> Result:
        if any(b"POISON" in blob for blob in blobs):
            os._exit(1)
        return job(params, blobs)

    return run


JOBS: Mapping[str, Job] = {name: _deadly(job) for name, job in jobs.JOBS.items()}
