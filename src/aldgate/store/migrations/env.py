"""Runs the migrations on the connection that `aldgate.store.schema` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
