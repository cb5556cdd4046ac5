"""Python programs that use the test's database or server, as users start them."""

from __future__ import annotations

import os
import subprocess
import sys

from headrace.settings import get_current_settings


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False)
