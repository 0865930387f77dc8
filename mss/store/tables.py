"""Which tables are there in all? The one import that knows every part of the schema."""

from __future__ import annotations

from mss.store import directoryschema, recordschema, schema, sheetschema
from mss.store.columns import metadata as metadata

PARTS = (schema, recordschema, directoryschema, sheetschema)
"""Each registers its tables in `metadata` when it is imported."""
