"""Imports dbt. Import this before anything of dbt: one of dbt's libraries sets up logging for the whole program, which is undone here."""

from __future__ import annotations

import logging

__all__ = ["EventLevel", "cli", "dbtRunner", "dbtRunnerResult"]

_before = list(logging.root.handlers), logging.root.level

import dbt.cli.main  # noqa: E402
from dbt_common.events.base_types import EventLevel  # noqa: E402

for _handler in [one for one in logging.root.handlers if one not in _before[0]]:
    logging.root.removeHandler(_handler)
logging.root.setLevel(_before[1])

dbtRunner = dbt.cli.main.dbtRunner  # dbt's own name
dbtRunnerResult = dbt.cli.main.dbtRunnerResult  # dbt's own name
cli = dbt.cli.main.cli
