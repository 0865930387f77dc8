"""In which words is software refused? One OperationOutcome for every refusal (FHIR R4 §3.1.0.7.1).

Pure. It says what is wrong with the request and what to do; of our inside, and of who exists, nothing.
"""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]


class Refused(Exception):
    """A request that gets an outcome instead of an answer. `code`: of IssueType (FHIR R4)."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


def wrong(text: str, code: str = "invalid") -> Refused:
    """400: the request itself is wrong."""
    return Refused(400, code, text)


def unknown(what: str = "resource") -> Refused:
    """404: no such thing, or not for whoever asks; both look alike."""
    return Refused(404, "not-found", f"there is no such {what}")


def outcome(code: str, text: str, severity: str = "error") -> Resource:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "details": {"text": text}, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def outcome_of(refused: Refused) -> Resource:
    return outcome(refused.code, refused.text, "fatal" if refused.status >= 500 else "error")
