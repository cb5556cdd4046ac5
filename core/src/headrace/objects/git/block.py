"""`GitRepositoryBlock`: a block that brings the files of a git repository. Plugins give the fields and the host's way to log in."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from headrace.client.bridge import blocking
from headrace.objects.filesystems.interfaces import ReadableDeploymentStorage
from headrace.objects.git.clones import GitError, Repository, Wanted, aclone
from headrace.objects.offload import offload


class GitRepositoryBlock(ReadableDeploymentStorage, ABC):
    """A git repository at some host. A subclass has the fields and says by two methods what they mean:

        class HostRepository(GitRepositoryBlock):
            repository: str
            reference: str | None = None
            credentials: HostCredentials | None = None

            def remote(self) -> Repository:
                return repository_at(self.repository, credentials=self.credentials)

            def wanted(self) -> Wanted:
                return Wanted(branch=self.reference)

    Credentials reach git through a file that only this user can read: they are in no argument, no error and not in the clone.
    """

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def remote(self) -> Repository:
        """Return the address and how to log in. Raises `ValueError` for fields that do not fit together."""

    @abstractmethod
    def wanted(self) -> Wanted:
        """Return what of the repository is wanted: branch or tag, commit, submodules, folders, how much history."""

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        """Copy the repository's files, `.git` too, or those of its folder `from_path` into `local_path` (default: the working directory).

        Folders that are there are merged, files replaced. Failures of the network are tried again, three times in all. Raises `OSError` that
        tells what git said, without secrets, and `ValueError` for a `from_path` that is no folder of the repository.
        """
        repository, wanted = self.remote(), self.wanted()
        target = Path(local_path or ".").expanduser().absolute()
        folder = Path(await offload(tempfile.mkdtemp, None, "headrace-clone-"))
        try:
            try:
                await aclone(repository, wanted, folder)
            except GitError as error:
                hint = "" if repository.login is not None else "\n If the repository is private, give credentials."
                raise OSError(f"Failed to pull from remote:\n {(error.stderr or '').strip() or error}{hint}") from None
            await offload(_copy, folder, from_path, target)
        finally:
            await offload(shutil.rmtree, folder, True)

    if TYPE_CHECKING:

        def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> None: ...
    else:
        get_directory = blocking(aget_directory)


def _copy(clone: Path, from_path: str | None, target: Path) -> None:
    source = (clone / (from_path or "")).resolve()
    if not source.is_relative_to(clone.resolve()) or not source.is_dir():
        raise ValueError(f"The repository has no folder {from_path!r}. Give one, relative to the repository's top.")
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_replace)


def _replace(source: str, target: str) -> str:
    """Copy a file over another, also where that may not be written, as objects of git may not."""
    Path(target).unlink(missing_ok=True)
    return shutil.copy2(source, target, follow_symlinks=False)
