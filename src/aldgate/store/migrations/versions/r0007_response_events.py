"""Responses that run in the background, their events, and what each account keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns, and add up what is there."""
    op.add_column("responses", sa.Column("warnings", sa.Text, nullable=False, server_default=""))
    op.add_column("responses", sa.Column("lease_until", sa.Double))
    op.add_column("responses", sa.Column("events", sa.LargeBinary))
    op.create_index("ix_responses_lease_until", "responses", ["lease_until"])
    op.create_index("ix_responses_account_created_at", "responses", ["account", "created_at"])
    op.create_table(
        "response_sizes",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO response_sizes (account, bytes) "
        "SELECT account, SUM(LENGTH(input) + LENGTH(body) + 1024) FROM responses GROUP BY account"
    )
