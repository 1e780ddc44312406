"""Artifacts, and what holds them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create their tables."""
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("call_id", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.Column("operation", sa.Text),
        sa.Column("engine", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("seed", sa.BigInteger),
        sa.Column("prompt_sha256", sa.Text),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    for column in ("sha256", "expires_at", "job_id"):
        op.create_index(f"ix_artifacts_{column}", "artifacts", [column])
    op.create_index("ix_artifacts_account_created_at", "artifacts", ["account", "created_at"])
    op.create_table(
        "artifact_holds",
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("artifact_id", sa.Text, sa.ForeignKey("artifacts.id"), nullable=False),
        sa.PrimaryKeyConstraint("holder", "artifact_id"),
    )
    op.create_index("ix_artifact_holds_artifact_id", "artifact_holds", ["artifact_id"])
