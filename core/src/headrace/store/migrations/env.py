"""Run by Alembic: hands it the connection that `migrations.run` opened."""

from __future__ import annotations

from alembic import context

from headrace.store.tables import load_all

context.configure(connection=context.config.attributes["connection"], target_metadata=load_all(), transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
