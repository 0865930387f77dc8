"""The sealed form of a fiche: a DocumentEntry as JSON, exactly, with a version for the day it grows."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import Any

from mss.model.document import Author, Coded, DocumentEntry

VERSION = 1
_FIELDS = tuple(field.name for field in fields(DocumentEntry))
_MOMENTS = ("creation_time", "service_start", "service_stop")
_CODES = ("type", "class_", "format", "facility", "practice")
_CODE_LISTS = ("confidentiality", "event_codes")


def to_bytes(entry: DocumentEntry) -> bytes:
    """The JSON that is sealed."""
    values = {name: getattr(entry, name) for name in _FIELDS}
    return _ENCODER.encode({"v": VERSION, **values}).encode()


def _plain(value: Any) -> Any:
    """What JSON does not know. (dataclasses.asdict copies every text deeply: more work than filing the document.)"""
    if isinstance(value, datetime):
        return value.isoformat()
    return {name: getattr(value, name) for name in value.__slots__}


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_plain)


def from_bytes(data: bytes) -> DocumentEntry:
    """The entry that `to_bytes` wrote; fields that it did not know yet have their defaults."""
    values: dict[str, Any] = json.loads(data)
    values = {name: value for name, value in values.items() if name in _FIELDS}
    for name in _MOMENTS:
        values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
    for name in values.keys() & set(_CODES):
        values[name] = Coded(**values[name])
    for name in values.keys() & set(_CODE_LISTS):
        values[name] = tuple(Coded(**one) for one in values[name])
    values["authors"] = tuple(Author(**one) for one in values.get("authors", ()))
    values["folders"] = tuple(values.get("folders", ()))
    values["source_patient_info"] = tuple(values.get("source_patient_info", ()))
    return DocumentEntry(**values)
