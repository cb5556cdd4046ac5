"""Run by Alembic: hands it the connection that `migrations` opened, or the dialect whose SQL is wanted."""

from __future__ import annotations

from alembic import context

from headrace.store.tables import load_all

if context.is_offline_mode():
    context.configure(dialect_name=context.config.attributes["dialect"], target_metadata=load_all(), transactional_ddl=True, literal_binds=True)
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=load_all(), transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
