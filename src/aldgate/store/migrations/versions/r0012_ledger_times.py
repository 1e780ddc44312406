"""The ledger by time: what an account above a key used in the last day."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_ledger_received_at", "ledger", ["received_at"])
