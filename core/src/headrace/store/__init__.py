"""What is remembered: tables, transactions and migrations. Imported only when a database is really used.

Two doors lead in. `Transaction.sql` runs fixed text on the driver, with values already in storage form (`codec.py`); the runs' paths use it and
never load SQLAlchemy, whose import costs more than running a small flow. `Transaction.execute` runs SQLAlchemy Core statements on the
same connection and in the same transaction; everything with filters uses it.
"""
