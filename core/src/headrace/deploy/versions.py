"""Where the version of a deployment comes from."""

from __future__ import annotations

import subprocess
from enum import StrEnum
from pathlib import Path

COMMIT_CHARACTERS = 8
GIT_SECONDS_MAX = 5


class VersionType(StrEnum):
    """What a version stands for: a commit of a repository, or just itself."""

    GITHUB = "vcs:github"
    GITLAB = "vcs:gitlab"
    BITBUCKET = "vcs:bitbucket"
    AZUREDEVOPS = "vcs:azuredevops"
    GIT = "vcs:git"
    SIMPLE = "prefect:simple"


def commit_of_folder(folder: Path) -> str | None:
    """Return the first characters of the commit that the folder's repository is at; None where there is no repository or no git."""
    try:
        words = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=GIT_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()[:COMMIT_CHARACTERS] or None if done.returncode == 0 else None
