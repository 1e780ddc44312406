"""Jobs, their attempts and events."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create their tables."""
    _create_jobs()
    _create_indexes()
    _create_attempts()
    _create_events()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("requested_model", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("deadline", sa.Double),
        sa.Column("timeout_s", sa.Double, nullable=False),
        sa.Column("most_failures", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("parent", sa.Text),
        sa.Column("hold", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("cancel_asked_at", sa.Double),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("done", sa.Text, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("extras", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.Column("preview_mime", sa.Text),
        sa.Column("preview", sa.LargeBinary),
        sa.Column("asked", sa.LargeBinary, nullable=False),
    )


def _create_indexes() -> None:
    op.create_index("ix_jobs_account_created_at", "jobs", ["account", "created_at"])
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    waiting, unfinished = "state = 'queued'", "state IN ('queued', 'scheduled', 'running')"
    _partial("ix_jobs_waiting", ["engine", "rank", "created_at", "id"], waiting)
    _partial("ix_jobs_under_way", ["engine", "lease_until"], "state IN ('scheduled', 'running')")
    _partial("ix_jobs_unfinished", ["account"], unfinished)
    _partial("ix_jobs_doomed", ["deadline"], f"{waiting} AND (deadline IS NOT NULL OR cancel_asked_at IS NOT NULL)")
    _partial("ix_jobs_parent", ["parent"], "parent IS NOT NULL")
    _partial("ix_jobs_idempotency", ["account", "idempotency_key"], "idempotency_key IS NOT NULL", unique=True)


def _partial(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _create_attempts() -> None:
    op.create_table(
        "job_attempts",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("end", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job", "number"),
    )


def _create_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job", "seq"),
    )
