"""The Alembic line: from any older schema to the newest, and back."""
