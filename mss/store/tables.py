"""Which tables are there in all? The one import that knows every part of the schema."""

from __future__ import annotations

from mss.store import (
    directoryschema,
    outcomeschema,
    recordschema,
    retentionschema,
    schema,
    sheetschema,
    standingschema,
)
from mss.store.columns import metadata as metadata

PARTS = (schema, recordschema, directoryschema, sheetschema, standingschema, outcomeschema, retentionschema)
"""Each registers its tables in `metadata` when it is imported."""
