"""Columns of text that take whatever callers write."""

from typing import Any

from sqlalchemy import Dialect
from sqlalchemy import types as sql
from sqlalchemy.types import TypeDecorator


class Text(TypeDecorator[str]):
    """Text of any length.

    PostgreSQL stores no NUL (https://www.postgresql.org/docs/current/datatype-character.html) and refuses the statement, with
    all the rows in it: there each becomes U+FFFD, so what is looked up with one is not found instead of an outage.
    """

    impl = sql.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """See `TypeDecorator`."""
        if value is not None and "\0" in value and dialect.name == "postgresql":
            return value.replace("\0", "\ufffd")
        return value
