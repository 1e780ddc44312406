"""Accounts above keys, policies, and in the ledger whose calls they were."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make accounts, put keys' scopes, limits and budgets into policies, and widen the ledger."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, sa.ForeignKey("accounts.id")),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
    )
    op.create_index("ix_accounts_parent", "accounts", ["parent"])
    op.create_index("ix_accounts_kind_name", "accounts", ["kind", "name"], unique=True)
    _move_keys()
    for name in ("organisation_id", "team_id", "client_id", "user_id"):
        op.add_column("ledger", sa.Column(name, sa.Text))


def _move_keys() -> None:
    connection = op.get_bind()
    old = sa.Table("keys", sa.MetaData(), autoload_with=connection)
    policies = [{"key": row.id, "written": _policy(row)} for row in connection.execute(sa.select(old))]
    op.add_column("keys", sa.Column("policy", sa.Text, nullable=False, server_default="{}"))
    # SQLite adds a column with a reference, but no constraint of its own (https://sqlite.org/lang_altertable.html).
    op.execute("ALTER TABLE keys ADD COLUMN owner TEXT REFERENCES accounts (id)")
    op.add_column("keys", sa.Column("made_by", sa.Text))
    op.create_index("ix_keys_owner", "keys", ["owner"])
    if policies:
        connection.execute(sa.text("UPDATE keys SET policy = :written WHERE id = :key"), policies)
    for name in ("scopes", "limits", "budget"):
        op.drop_column("keys", name)
    if connection.dialect.name != "sqlite":
        op.alter_column("keys", "policy", server_default=None)


def _policy(row: Any) -> str:
    policy: dict[str, Any] = {"scopes": json.loads(row.scopes)}
    limits = json.loads(row.limits)
    if limits:
        policy["limits"] = limits
    if row.budget:
        policy["budgets"] = [json.loads(row.budget)]
    return json.dumps(policy)
