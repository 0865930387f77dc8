"""The sealed form of a fiche: a DocumentEntry as JSON, exactly, with a version for the day it grows."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from mss.model.document import Author, Coded, DocumentEntry

VERSION = 1
_MOMENTS = ("creation_time", "service_start", "service_stop")
_CODES = ("type", "class_", "format", "facility", "practice")
_CODE_LISTS = ("confidentiality", "event_codes")


def to_bytes(entry: DocumentEntry) -> bytes:
    """The JSON that is sealed."""
    values = asdict(entry)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else values[name].isoformat()
    return json.dumps({"v": VERSION, **values}, ensure_ascii=False).encode()


def from_bytes(data: bytes) -> DocumentEntry:
    """The entry that `to_bytes` wrote; fields that it did not know yet have their defaults."""
    values: dict[str, Any] = json.loads(data)
    known = {field.name for field in fields(DocumentEntry)}
    values = {name: value for name, value in values.items() if name in known}
    for name in _MOMENTS:
        values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
    for name in values.keys() & set(_CODES):
        values[name] = Coded(**values[name])
    for name in values.keys() & set(_CODE_LISTS):
        values[name] = tuple(Coded(**one) for one in values[name])
    values["authors"] = tuple(Author(**one) for one in values.get("authors", ()))
    values["source_patient_info"] = tuple(values.get("source_patient_info", ()))
    return DocumentEntry(**values)
