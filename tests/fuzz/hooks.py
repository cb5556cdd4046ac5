"""What Schemathesis loads: many of its made-up ids and names become those of objects that are there. HEADRACE_FUZZ_SEEDS names the file of them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis

SEEDS: dict[str, list[str]] = json.loads(Path(os.environ["HEADRACE_FUZZ_SEEDS"]).read_text())
CHANGED = 0.7
"""The share of the values that are changed; where an object would be deleted, few are."""
CHANGED_WHERE_DELETED = 0.05


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Change values of the path and of the fields of the body. The same case is always changed in the same way."""
    chance = random.Random(f"{case.path} {case.path_parameters} {case.body!r}")
    noun = case.operation.path.removeprefix("/api").strip("/").split("/")[0]
    share = CHANGED_WHERE_DELETED if case.operation.method.lower() == "delete" else CHANGED
    for name in case.path_parameters or {}:
        if (known := SEEDS.get(f"{noun}/{name}")) and chance.random() < share:
            case.path_parameters[name] = chance.choice(known)
    _change(case.body, chance)


def _change(value: Any, chance: random.Random) -> None:
    if isinstance(value, list):
        for one in value:
            _change(one, chance)
    if isinstance(value, dict):
        for name in value:
            if name in SEEDS and chance.random() < CHANGED:
                value[name] = chance.choice(SEEDS[name])
            else:
                _change(value[name], chance)
