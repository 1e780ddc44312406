"""Clients that authenticate with an id and a secret."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make tables for what clients have beyond their account, and for their secrets' hashes."""
    op.create_table(
        "clients",
        sa.Column("account", sa.Text, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("default_provider", sa.Text, nullable=False),
        sa.Column("default_model", sa.Text, nullable=False),
    )
    op.create_table(
        "client_secrets",
        sa.Column("account", sa.Text, sa.ForeignKey("clients.account", ondelete="CASCADE"), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.PrimaryKeyConstraint("account", "hash"),
    )
