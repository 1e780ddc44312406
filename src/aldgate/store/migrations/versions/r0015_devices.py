"""Devices, and who holds their memory."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create their tables."""
    op.create_table(
        "devices",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("total_mb", sa.Integer, nullable=False),
        sa.Column("foreign_mb", sa.Integer, nullable=False),
        sa.Column("foreign_processes", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "residencies",
        sa.Column("device", sa.Text, sa.ForeignKey("devices.name"), nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("exclusive", sa.Boolean, nullable=False),
        sa.Column("places", sa.Integer, nullable=False),
        sa.Column("idle_s", sa.Double),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("is_fixed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("device", "engine"),
    )
    op.create_table(
        "engine_memory",
        sa.Column("device", sa.Text, sa.ForeignKey("devices.name"), nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("peak_mb", sa.Integer, nullable=False),
        sa.Column("rest_mb", sa.Integer, nullable=False),
        sa.Column("worked_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("device", "engine"),
    )
