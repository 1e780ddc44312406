"""The tables. Times are Unix seconds, money is whole micro-dollars; `migrations/` brings a database to this shape."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)

from aldgate.store.texts import Text

METADATA = MetaData()

secrets = Table(
    "secrets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Organisations, teams, clients and users. A parent's policy holds for all that is under it.
accounts = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("parent", Text, ForeignKey("accounts.id"), index=True),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Index("ix_accounts_kind_name", "kind", "name", unique=True),
)

# What clients have beyond their account.
clients = Table(
    "clients",
    METADATA,
    Column("account", Text, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("default_provider", Text, nullable=False),
    Column("default_model", Text, nullable=False),
)

client_secrets = Table(
    "client_secrets",
    METADATA,
    Column("account", Text, ForeignKey("clients.account", ondelete="CASCADE"), nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    PrimaryKeyConstraint("account", "hash"),
)

keys = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("owner", Text, ForeignKey("accounts.id"), index=True),
    Column("made_by", Text),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)

credentials = Table(
    "credentials",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", Text, ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires_at", Double),
)

# What is kept of a user beside the account; the name to log in by is the account's.
users = Table(
    "users",
    METADATA,
    Column("id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("email", Text, unique=True),
    Column("display_name", Text),
    Column("password", Text),
    Column("role", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("preferred_model", Text),
    Column("preferences", LargeBinary, nullable=False),
    Column("last_login_at", Double),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

invites = Table(
    "invites",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("role", Text, nullable=False),
    Column("parent", Text, ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("email", Text),
    Column("made_by", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
)

own_credentials = Table(
    "own_credentials",
    METADATA,
    Column("id", Text, nullable=False),
    Column("user", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("user", "provider"),
)

# Columns in the order of `LedgerRow`, so that a row is written as the tuple it is. Call ids are time-ordered: a table
# clustered on them (no rowid) is appended to at its end and needs no second index.
ledger = Table(
    "ledger",
    METADATA,
    Column("call_id", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("error_code", Text),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("usage_source", Text, nullable=False),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("first_byte_s", Double),
    Column("total_s", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("is_final", Boolean, nullable=False),
    Column("organisation_id", Text),
    Column("team_id", Text),
    Column("client_id", Text),
    Column("user_id", Text),
    PrimaryKeyConstraint("call_id", "attempt"),
    Index("ix_ledger_account_received_at", "account", "received_at"),
    Index("ix_ledger_received_at", "received_at"),
    sqlite_with_rowid=False,
)

# What administrators did, as a chain; see `core.audit`. Rows are added and never changed.
audit = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("who_kind", Text, nullable=False),
    Column("who_name", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

# The one row with the end of the chain. Whoever adds to the chain locks it first.
audit_head = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

budgets = Table(
    "budgets",
    METADATA,
    Column("account", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("limit_microusd", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("presumed", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "period"),
)

slices = Table(
    "slices",
    METADATA,
    Column("account", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("reported", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "period", "process"),
)

# Who was told that so much of a budget is spent: each once.
alerts = Table(
    "alerts",
    METADATA,
    Column("account", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("account", "period", "percent"),
)

# Processes that share the database. `seen_at` by the database's clock.
processes = Table(
    "processes",
    METADATA,
    Column("process", Text, primary_key=True),
    Column("seen_at", Double, nullable=False),
)

# How often something that processes cache was changed.
revisions = Table(
    "revisions",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

refills = Table(
    "refills",
    METADATA,
    Column("process", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("incarnation", Text, nullable=False),
    Column("began_at", Double, nullable=False, index=True),
    Column("status", Integer),
    Column("headers", LargeBinary),
    Column("body", LargeBinary),
    PrimaryKeyConstraint("principal", "key"),
)

# Keyed by account first: whoever does not own a response finds nothing, and a provider's ids cannot collide between accounts.
responses = Table(
    "responses",
    METADATA,
    Column("account", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("previous_id", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("status", Text, nullable=False),
    Column("incarnation", Text, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("warnings", Text, nullable=False, server_default=""),
    Column("lease_until", Double, index=True),
    Column("events", LargeBinary),
    PrimaryKeyConstraint("account", "id"),
    Index("ix_responses_account_previous_id", "account", "previous_id"),
    Index("ix_responses_account_created_at", "account", "created_at"),
)

# What the responses of an account come to: to add them up for each new one would take longer the more there are.
response_sizes = Table(
    "response_sizes",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

files = Table(
    "files",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, index=True),
    Index("ix_files_account_created_at", "account", "created_at"),
)

# `provenance` in columns that one looks for; `parents` and `facts` as JSON.
artifacts = Table(
    "artifacts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("mime", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, index=True),
    Column("call_id", Text),
    Column("job_id", Text, index=True),
    Column("operation", Text),
    Column("engine", Text),
    Column("model", Text),
    Column("seed", BigInteger),
    Column("prompt_sha256", Text),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("parents", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Index("ix_artifacts_account_created_at", "account", "created_at"),
)

# What keeps an artifact from being forgotten: jobs that are not over, by their ids.
artifact_holds = Table(
    "artifact_holds",
    METADATA,
    Column("holder", Text, nullable=False),
    Column("artifact_id", Text, ForeignKey("artifacts.id"), nullable=False, index=True),
    PrimaryKeyConstraint("holder", "artifact_id"),
)

batches = Table(
    "batches",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("input_sha256", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("metadata", Text),
    Column("output_lifetime_s", BigInteger),
    Column("in_progress_at", Double),
    Column("finalizing_at", Double),
    Column("completed_at", Double),
    Column("failed_at", Double),
    Column("expired_at", Double),
    Column("cancelling_at", Double),
    Column("cancelled_at", Double),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Column("errors", Text, nullable=False),
    Column("model", Text),
    Column("total", BigInteger, nullable=False),
    Column("completed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("worker", Text),
    Column("lease_until", Double, nullable=False),
    Index("ix_batches_account_created_at", "account", "created_at"),
)

# Only while the batch is unfinished: then its results are in files.
batch_lines = Table(
    "batch_lines",
    METADATA,
    Column("batch_id", Text, ForeignKey("batches.id", ondelete="CASCADE"), nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("custom_id", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("call_id", Text),
    Column("cuts", Integer, nullable=False),
    Column("is_good", Boolean),
    Column("result", LargeBinary),
    PrimaryKeyConstraint("batch_id", "line"),
)
