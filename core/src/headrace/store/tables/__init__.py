"""The tables, one module for each noun, all on one `metadata`. `load_all` imports every module, so that `metadata` is whole."""

from __future__ import annotations

import pkgutil

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s__%(column_0_N_name)s",
        "uq": "uq_%(table_name)s__%(column_0_N_name)s",
        "fk": "fk_%(table_name)s__%(column_0_name)s__%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def load_all() -> MetaData:
    """Import every module of tables and return the whole metadata."""
    for module in pkgutil.iter_modules(__path__):
        __import__(f"{__name__}.{module.name}")
    for table in metadata.tables.values():
        for index in table.indexes:
            part = index.dialect_options["sqlite"]["where"]
            if part is not None:  # what is indexed in part on SQLite is so on PostgreSQL
                index.dialect_options["postgresql"]["where"] = part
    return metadata
