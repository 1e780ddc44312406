"""Alerts that were given of budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "alerts",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("account", "period", "percent"),
    )
