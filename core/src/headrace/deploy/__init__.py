"""From a source file to a flow that can be run elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """This package, which is also what `from headrace import deploy` gives once one of its modules is imported: then it is the function."""

    def __call__(self, *deployments: Any, **options: Any) -> Any:
        """`headrace.deployments.deploy`."""
        from headrace.deploy.deploying import deploy

        return deploy(*deployments, **options)


sys.modules[__name__].__class__ = _Room
