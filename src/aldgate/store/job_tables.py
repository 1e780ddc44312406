"""The tables of jobs. Times are Unix seconds by the database's clock, money is whole micro-dollars."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from aldgate.store.tables import METADATA

IS_WAITING = "state = 'queued'"
IS_UNDER_WAY = "state IN ('scheduled', 'running')"
IS_UNFINISHED = "state IN ('queued', 'scheduled', 'running')"
MAY_BE_DOOMED = "state = 'queued' AND (deadline IS NOT NULL OR cancel_asked_at IS NOT NULL)"
"""Conditions of the partial indexes. Queries repeat them to the letter, without parameters: only then are the indexes used."""


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index on some rows alone: it stays as small as they are few, however many others there are."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


# `rank` is the priority's negative, so that an index in ascending order has the order in which jobs begin. What is long stands
# last: whoever reads the columns before need not read over it.
jobs = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("deadline", Double),
    Column("timeout_s", Double, nullable=False),
    Column("most_failures", Integer, nullable=False),
    Column("idempotency_key", Text),
    Column("parent", Text),
    Column("hold", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("worker", Text),
    Column("lease_until", Double, nullable=False),
    Column("cancel_asked_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("done", Text, nullable=False),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("progress", Text, nullable=False),
    Column("error", Text),
    Column("extras", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("result", LargeBinary),
    Column("preview_mime", Text),
    Column("preview", LargeBinary),
    Column("asked", LargeBinary, nullable=False),
    Index("ix_jobs_account_created_at", "account", "created_at"),
    Index("ix_jobs_created_at", "created_at"),
    _partial("ix_jobs_waiting", "engine", "rank", "created_at", "id", where=IS_WAITING),
    _partial("ix_jobs_under_way", "engine", "lease_until", where=IS_UNDER_WAY),
    _partial("ix_jobs_unfinished", "account", where=IS_UNFINISHED),
    _partial("ix_jobs_doomed", "deadline", where=MAY_BE_DOOMED),
    _partial("ix_jobs_parent", "parent", where="parent IS NOT NULL"),
    _partial("ix_jobs_idempotency", "account", "idempotency_key", where="idempotency_key IS NOT NULL", unique=True),
)

job_attempts = Table(
    "job_attempts",
    METADATA,
    Column("job", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("engine", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("phase", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("ended_at", Double),
    Column("end", Text),
    Column("error", Text),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("job", "number"),
)

job_events = Table(
    "job_events",
    METADATA,
    Column("job", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("job", "seq"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("job", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("account", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text, nullable=False),
    Column("ended_at", Double),
    Column("lease_until", Double, nullable=False),
    _partial("ix_webhook_deliveries_due", "due_at", where="state = 'pending'"),
)
IS_PENDING = text("webhook_deliveries.state = 'pending'")
