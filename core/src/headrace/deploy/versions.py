"""The version of a deployment: the one given, else that of the commit it is deployed from, else its flow's. Nothing else is looked at."""

from __future__ import annotations

import os
import subprocess
from enum import StrEnum
from pathlib import Path

from headrace.model.deployments import VersionInfo

COMMIT_CHARACTERS = 8
GIT_SECONDS_MAX = 5


class VersionType(StrEnum):
    """What a version stands for: a commit, and where it was found, or just itself."""

    GITHUB = "vcs:github"
    GITLAB = "vcs:gitlab"
    BITBUCKET = "vcs:bitbucket"
    AZUREDEVOPS = "vcs:azuredevops"
    GIT = "vcs:git"
    SIMPLE = "prefect:simple"

    @classmethod
    def _missing_(cls, value: object) -> VersionType | None:
        return cls.SIMPLE if value == "headrace:simple" else None


_MACHINES = {
    VersionType.GITHUB: ("GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_REPOSITORY"),
    VersionType.GITLAB: ("CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PROJECT_NAME"),
    VersionType.BITBUCKET: ("BITBUCKET_COMMIT", "BITBUCKET_BRANCH", "BITBUCKET_REPO_SLUG"),
    VersionType.AZUREDEVOPS: ("BUILD_SOURCEVERSION", "BUILD_SOURCEBRANCHNAME", "BUILD_REPOSITORY_NAME"),
}
"""What the build machines of each service set: commit, branch and repository.

Sources: GitHub Actions "Default environment variables", GitLab CI/CD "Predefined variables", Bitbucket Pipelines "Default variables",
Azure Pipelines "Use predefined variables".
"""


def find_version(version: str | None, version_type: str | None, flow_version: str | None) -> tuple[str | None, VersionInfo | None]:
    """Return the version of a deployment and what is known of where it comes from.

    Without `version` it is the first eight characters of the commit that is deployed from, else the version of the flow. `version_type`
    limits what is looked at: the build machine of one service, git, or nothing but the flow. Raises `ValueError` for an unknown type.
    """
    kinds = [*_MACHINES, VersionType.GIT] if version_type is None else [VersionType(version_type)]
    for kind in kinds:
        commit, branch, repository = _from_git() if kind is VersionType.GIT else _from_machine(kind)
        if commit:
            told = version or commit[:COMMIT_CHARACTERS]
            fields = {"type": kind.value, "version": told, "commit_sha": commit, "branch": branch, "repository": repository}
            return told, VersionInfo.model_validate(fields)
    told = version or flow_version
    return told, VersionInfo(type=VersionType.SIMPLE.value, version=told) if told else None


def _from_machine(kind: VersionType) -> tuple[str, ...]:
    return tuple(os.environ.get(name, "") for name in _MACHINES.get(kind, ("", "", "")))


def _from_git() -> tuple[str, ...]:
    """Ask git for commit, branch and repository of the working directory; nothing where there is no git, no repository or no commit."""
    words = ["git", "rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=GIT_SECONDS_MAX, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", "", ""
    folder, commit, branch = done.stdout.splitlines()
    return commit, branch, Path(folder).name
