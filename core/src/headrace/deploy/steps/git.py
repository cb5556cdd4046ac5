"""The step that clones a git repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.client.bridge import blocking
from headrace.objects.git.clones import Wanted, aclone, repository_at


async def agit_clone(
    repository: str,
    branch: str | None = None,
    commit_sha: str | None = None,
    include_submodules: bool = False,
    access_token: str | None = None,
    credentials: Any = None,
    directories: list[str] | None = None,
    clone_directory_name: str | None = None,
) -> dict[str, str]:
    """Clone a git repository into a folder of the working directory, and return that folder as `directory`.

    Of its default branch, of `branch` or at `commit_sha`; only the folders `directories`, if they are given (a sparse checkout); with
    `include_submodules` those too. The folder is called `clone_directory_name`, else after the repository and the branch; a clone that is there
    already is brought up to date. `access_token` is a token, or `user:password`; `credentials` a block that holds them. They are given to the
    repository's own host alone and kept nowhere. Failures of the network are tried again, three times in all. Raises `ValueError` for
    arguments that contradict each other, and `subprocess.CalledProcessError` when git fails.
    """
    found = repository_at(repository, access_token, credentials)
    wanted = Wanted(branch, commit_sha, include_submodules, tuple(directories or ()))
    name = clone_directory_name or (f"{found.name}-{branch}".replace("/", "-") if branch else found.name)
    folder = Path.cwd() / name
    await aclone(found, wanted, folder)
    return {"directory": folder.as_posix()}


git_clone = blocking(agit_clone)
