"""The version of a deployment, where nobody gave one: that of the repository it is deployed from."""

from __future__ import annotations

import os
import subprocess

from headrace.model.deployments import VersionInfo

SHORT = 8
"""Characters of a commit's id that make a version."""

_COMMIT_VARIABLES = {
    "vcs:github": ("GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_REPOSITORY"),
    "vcs:gitlab": ("CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PROJECT_NAME"),
    "vcs:bitbucket": ("BITBUCKET_COMMIT", "BITBUCKET_BRANCH", "BITBUCKET_REPO_SLUG"),
    "vcs:azuredevops": ("BUILD_SOURCEVERSION", "BUILD_SOURCEBRANCHNAME", "BUILD_REPOSITORY_NAME"),
}
"""What the build machines of each service set: commit, branch and repository."""


def find_version(version: str | None, version_type: str | None, flow_version: str | None) -> tuple[str | None, VersionInfo | None]:
    """Return the version of a deployment and what is known of where it comes from.

    Without `version` it is the first eight characters of the commit that is deployed from, else the version of the flow. `version_type`
    limits what is looked at: the build machine of one service, git, or nothing but the flow.
    """
    simple = version_type is not None and version_type.endswith(":simple")
    kinds = [] if simple else [version_type] if version_type is not None else [*_COMMIT_VARIABLES, "vcs:git"]
    for kind in kinds:
        found = _from_git() if kind == "vcs:git" else _from_machine(kind)
        if found is not None:
            commit, branch, repository = found
            told = version or commit[:SHORT]
            return told, VersionInfo.model_validate({"type": kind, "version": told, "commit_sha": commit, "branch": branch, "repository": repository})
    told = version or flow_version
    return told, VersionInfo(type="prefect:simple", version=told) if told else None


def _from_machine(kind: str) -> tuple[str, str, str] | None:
    commit, branch, repository = (os.environ.get(name, "") for name in _COMMIT_VARIABLES[kind])
    return (commit, branch, repository) if commit else None


def _from_git() -> tuple[str, str, str] | None:
    try:
        commit = _git("rev-parse", "HEAD")
        return commit, _git("rev-parse", "--abbrev-ref", "HEAD"), os.path.basename(_git("rev-parse", "--show-toplevel"))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=30).stdout.strip()
