"""The first tables. Until a first release this version follows the schema; afterwards it is frozen."""

from __future__ import annotations

from alembic import op

from mss.store.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table of the schema."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """There is nothing before the first version."""
    raise NotImplementedError("restore a backup instead")
