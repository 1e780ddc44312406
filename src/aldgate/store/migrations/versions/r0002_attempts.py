"""A ledger row for each attempt at a call: they are told apart by their number, and one of them is the call's own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Number the rows there are 1, and make the number a part of the key."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
    else:
        _alter()


def _attempt() -> tuple[sa.Column[int], sa.Column[bool]]:
    return (
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
        sa.Column("is_final", sa.Boolean, nullable=False, server_default=sa.true()),
    )


def _alter() -> None:
    for column in _attempt():
        op.add_column("ledger", column)
    op.drop_constraint("ledger_pkey", "ledger", type_="primary")
    op.create_primary_key("ledger_pkey", "ledger", ["call_id", "attempt"])


def _make_anew() -> None:
    """SQLite cannot change a key (https://sqlite.org/lang_altertable.html): the rows move into another table."""
    connection = op.get_bind()
    old = sa.Table("ledger", sa.MetaData(), autoload_with=connection)
    columns = [sa.Column(column.name, column.type, nullable=column.nullable) for column in old.columns]
    key = sa.PrimaryKeyConstraint("call_id", "attempt")
    op.create_table("ledger_anew", *columns, *_attempt(), key, sqlite_with_rowid=False)
    names = ", ".join(column.name for column in old.columns)
    op.execute(f"INSERT INTO ledger_anew ({names}) SELECT {names} FROM ledger ORDER BY call_id")
    op.drop_table("ledger")
    op.rename_table("ledger_anew", "ledger")
    op.create_index("ix_ledger_account_received_at", "ledger", ["account", "received_at"])
