"""Where a flow's code is kept: a git repository, a folder somewhere, a block. Bringing it to a local folder, and the step that does so elsewhere."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast, runtime_checkable
from urllib.parse import urlsplit

from headrace.deploy.steps.pull import copy_folder
from headrace.model.errors import BlockNotSavedError
from headrace.objects.git.clones import GitError, Repository, Wanted, clone, repository_at, run_git
from headrace.objects.offload import call_either, offload

if TYPE_CHECKING:
    from headrace.engine.flow import Flow

STEPS = "headrace.deployments.steps"
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


@runtime_checkable
class RunnerStorage(Protocol):
    """Where code is kept. A storage of your own needs these."""

    def set_base_path(self, path: Path) -> None:
        """Say below which folder the code is to be put."""
        ...

    @property
    def pull_interval(self) -> int | None:
        """Seconds between two pulls while flows are served; None: it is pulled once."""
        ...

    @property
    def destination(self) -> Path:
        """The folder in which the code is, once it was pulled."""
        ...

    async def pull_code(self) -> None:
        """Bring the code, or bring it up to date."""
        ...

    def to_pull_step(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the step, or steps, by which a worker brings the code."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a flow was read from."""

    storage: RunnerStorage | None
    entrypoint: str


class _Pulled:
    """Code that is brought into a folder of its own, called `name`, below the base path; at first that is the working directory."""

    def __init__(self, name: str, pull_interval: int | None) -> None:
        self._name, self._pull_interval = name, pull_interval
        self._base = Path.cwd()

    def set_base_path(self, path: Path) -> None:
        """Say below which folder the code is to be put."""
        self._base = path

    @property
    def pull_interval(self) -> int | None:
        """Seconds between two pulls while flows are served; None: the code is pulled once."""
        return self._pull_interval

    @property
    def destination(self) -> Path:
        """The folder that the code is brought into."""
        return self._base / self._name


class GitCredentials(TypedDict, total=False):
    """What a repository asks for; the token may be a `Secret` block."""

    username: str
    access_token: Any


class GitRepository(_Pulled):
    """A git repository, of which a shallow clone is made.

    `credentials`: `{"username", "access_token"}` (values or `Secret` blocks) or a block of credentials; they are given to git through a file of
    this user alone and appear in no error. `branch` or `commit_sha`: what is checked out, else the default branch. `directories`: only these
    folders are. Raises `ValueError` for a user name without a token, for both a branch and a commit, and for names that are none.
    """

    def __init__(
        self,
        url: str,
        credentials: GitCredentials | Any | None = None,
        name: str | None = None,
        branch: str | None = None,
        commit_sha: str | None = None,
        include_submodules: bool = False,
        pull_interval: int | None = 60,
        directories: list[str] | None = None,
    ) -> None:
        if isinstance(credentials, dict):
            credentials = cast("dict[str, Any]", {**credentials})
            if credentials.get("username") and not (credentials.get("access_token") or credentials.get("password")):
                raise ValueError("If a username is provided, an access token must also be provided.")
        if commit_sha is not None and not _COMMIT.fullmatch(commit_sha):
            raise ValueError(f"{commit_sha!r} is no commit: it has other characters than 0-9 and a-f. Give a branch or tag as `branch`.")
        self._given = credentials
        self._repository = repository_at(url, credentials=credentials or None)
        self._wanted = Wanted(branch, commit_sha, include_submodules, tuple(directories or ()))
        named = f"{self._repository.name}-{branch}".replace("/", "-") if branch else self._repository.name
        super().__init__(name or named, pull_interval)

    async def pull_code(self) -> None:
        """Clone the repository, or bring the clone up to date. Raises `RuntimeError` that tells what git said, without secrets."""
        try:
            await offload(clone, self._repository, self._wanted, self.destination)
        except GitError as error:
            hint = "" if self._repository.login else " If it is private, give credentials."
            raise RuntimeError(f"Failed to pull {self._repository.url}: {(error.stderr or '').strip() or error}.{hint}") from None

    async def is_sparsely_checked_out(self) -> bool:
        """Say whether the clone has some folders alone."""
        return (await self._asked("config", "--default", "false", "--get", "core.sparseCheckout")).strip() == "true"

    async def is_shallow_clone(self) -> bool:
        """Say whether the clone lacks the history."""
        return (await self._asked("rev-parse", "--is-shallow-repository")).strip() == "true"

    async def is_current_commit(self) -> bool:
        """Say whether the clone is at `commit_sha`. Raises `ValueError` when none is wanted."""
        if self._wanted.commit_sha is None:
            raise ValueError("No commit was asked for: the repository is used at a branch.")
        return (await self._asked("rev-parse", "HEAD")).strip().startswith(self._wanted.commit_sha)

    async def _asked(self, *arguments: str) -> str:
        return await offload(run_git, list(arguments), Repository(self._repository.url), self.destination)

    def to_pull_step(self) -> dict[str, Any]:
        """Return the step that clones the repository. Raises `BlockNotSavedError` for credentials that are not in a saved block."""
        wanted = self._wanted
        told: dict[str, Any] = {"repository": self._repository.url, "branch": wanted.branch}
        if wanted.commit_sha:
            told["commit_sha"] = wanted.commit_sha
        if wanted.include_submodules:
            told["include_submodules"] = True
        if wanted.directories:
            told["directories"] = list(wanted.directories)
        if self._given is not None:
            told.update(_credentials_by_name(self._given))
        elif self._repository.login is not None:
            raise BlockNotSavedError("The address has credentials in it, which must not be stored with a deployment. Keep them in a block.")
        return {f"{STEPS}.git_clone": told}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GitRepository):
            return False
        return (self._repository, self._wanted, self._name) == (other._repository, other._wanted, other._name)

    def __hash__(self) -> int:
        return hash((self._repository.url, self._wanted, self._name))

    def __repr__(self) -> str:
        return f"GitRepository(name={self._name!r} repository={self._repository.url!r}, branch={self._wanted.branch!r})"


def _credentials_by_name(given: Any) -> dict[str, Any]:
    """Return credentials as the placeholder of the block that holds them."""
    if isinstance(given, dict):
        token = cast("dict[str, Any]", given).get("access_token")
        name = _placeholder(token)
        if name is None:
            raise BlockNotSavedError("The access token is no saved Secret block, and it must not be stored with a deployment. Save it in one first.")
        return {"access_token": name}
    name = _placeholder(given)
    if name is None:
        raise BlockNotSavedError("Block must be saved before it can be converted to a pull step. Call its save() first.")
    return {"credentials": name}


def _placeholder(block: Any) -> str | None:
    name = getattr(block, "_block_document_name", None)
    return f"{{{{ headrace.blocks.{block.get_block_type_slug()}.{name} }}}}" if name else None


class RemoteStorage(_Pulled):
    """A folder at an address that fsspec knows, such as s3://bucket/folder; `settings` (values or `Secret` blocks) go to fsspec's class for it."""

    def __init__(self, url: str, pull_interval: int | None = 60, **settings: Any) -> None:
        """Keep the address. Raises `ValueError` for one without a scheme."""
        parts = urlsplit(url)
        if not parts.scheme:
            raise ValueError(f"{url!r} has no scheme. Write the whole address, as s3://bucket/folder.")
        super().__init__("-".join(part for part in (parts.netloc, *parts.path.strip("/").split("/")) if part) or parts.scheme, pull_interval)
        self._url, self._settings = url, settings

    async def pull_code(self) -> None:
        """Copy the folder. Raises `RuntimeError` when nothing is there, `ImportError` when the package for the address is missing."""
        settings = {name: _secret(value) for name, value in self._settings.items()}
        await offload(copy_folder, self._url, settings, self.destination)

    def to_pull_step(self) -> dict[str, Any]:
        """Return the step that copies the folder. Raises `BlockNotSavedError` for a secret that is in no saved block."""
        told: dict[str, Any] = {"url": self._url}
        for name, value in self._settings.items():
            if not hasattr(value, "get_secret_value") and not hasattr(value, "get_block_type_slug"):
                told[name] = value
                continue
            told[name] = _placeholder(value)
            if told[name] is None:
                raise BlockNotSavedError(f"The setting {name!r} is a secret in no saved block. Call its save() first.")
        return {f"{STEPS}.pull_from_remote_storage": told}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStorage) and (self._url, self._settings) == (other._url, other._settings)

    def __hash__(self) -> int:
        return hash(self._url)

    def __repr__(self) -> str:
        return f"RemoteStorage(url={self._url!r})"


def _secret(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return value.get() if hasattr(value, "get_block_type_slug") and hasattr(value, "get") else value


class BlockStorageAdapter(_Pulled):
    """A block that has `get_directory`, as a storage."""

    def __init__(self, block: Any, pull_interval: int | None = 60) -> None:
        """Keep the block. Raises `TypeError` for one that cannot bring a folder."""
        if not hasattr(block, "get_directory"):
            raise TypeError(f"{type(block).__name__} cannot bring code: it has no get_directory.")
        name = getattr(block, "_block_document_name", None) or "unsaved"
        super().__init__(f"{block.get_block_type_slug()}-{name}", pull_interval)
        self._block = block

    async def pull_code(self) -> None:
        """Have the block bring the folder."""
        self.destination.mkdir(parents=True, exist_ok=True)
        fetch = getattr(self._block, "aget_directory", None) or self._block.get_directory
        await call_either(partial(fetch, local_path=str(self.destination)))

    def to_pull_step(self) -> dict[str, Any]:
        """Return the step by which the block brings the folder. Raises `BlockNotSavedError`."""
        if hasattr(self._block, "get_pull_step"):
            return self._block.get_pull_step()
        name = getattr(self._block, "_block_document_name", None)
        if not name:
            raise BlockNotSavedError("Block must be saved with a name before it can be converted to a pull step. Call its save() first.")
        return {f"{STEPS}.pull_with_block": {"block_document_name": name, "block_type_slug": self._block.get_block_type_slug()}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockStorageAdapter) and self._block == other._block

    def __hash__(self) -> int:
        return hash(self._name)


class LocalStorage:
    """A folder of this machine, used where it is."""

    def __init__(self, path: str | Path, pull_interval: int | None = None) -> None:
        """Keep the path."""
        self._path, self._pull_interval = Path(path).expanduser().resolve(), pull_interval

    def set_base_path(self, path: Path) -> None:
        """Change nothing: the code stays where it is."""

    @property
    def pull_interval(self) -> int | None:
        """None, unless one was given."""
        return self._pull_interval

    @property
    def destination(self) -> Path:
        """The folder itself."""
        return self._path

    async def pull_code(self) -> None:
        """Look that the folder is there. Raises `FileNotFoundError`."""
        if not self._path.is_dir():
            raise FileNotFoundError(f"There is no folder {str(self._path)!r}, in which the flow's code is said to be.")

    def to_pull_step(self) -> dict[str, Any]:
        """Return the step that enters the folder."""
        return {f"{STEPS}.set_working_directory": {"directory": str(self._path)}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStorage) and self._path == other._path

    def __hash__(self) -> int:
        return hash(self._path)

    def __repr__(self) -> str:
        return f"LocalStorage(path={str(self._path)!r})"


def create_storage_from_source(source: str, pull_interval: int | None = 60) -> RunnerStorage:
    """Return the storage for an address: a repository for `….git` and `git://`, a folder for a path and `file://`, else what fsspec knows.

    Raises `ValueError` for a scheme that nothing knows.
    """
    parts = urlsplit(source)
    scp = re.match(r"^[\w.-]+@[\w.-]+:.+\.git$", source)
    if parts.scheme == "git" or parts.path.endswith(".git") or scp:
        return GitRepository(url=source, pull_interval=pull_interval)
    if parts.scheme in ("", "file", "local") or len(parts.scheme) == 1:
        return LocalStorage(path=parts.path if parts.scheme in ("file", "local") else source)
    import fsspec  # pyright: ignore[reportMissingTypeStubs]  # it has none

    known = cast("list[str]", cast("Any", fsspec).available_protocols())
    if parts.scheme.partition("::")[0] in known and parts.scheme not in ("http", "https"):
        return RemoteStorage(url=source, pull_interval=pull_interval)
    from headrace.model.errors import near

    raise ValueError(
        f"No storage is known for {source!r}. A repository's address ends in .git; other schemes are those of fsspec. "
        f"{near(parts.scheme, known)}".rstrip()
    )


def storage_of(source: Any) -> RunnerStorage:
    """Return the storage for what users give: an address, a path, a storage or a block. Raises `TypeError` for anything else."""
    if isinstance(source, str | Path):
        return create_storage_from_source(str(source))
    if isinstance(source, RunnerStorage):
        return source
    if hasattr(source, "get_directory"):
        return BlockStorageAdapter(source)
    raise TypeError(
        f"Unsupported source type {type(source).__name__!r}. Give the address of a repository, a path, a storage of headrace.runner.storage, "
        "or a block that has get_directory."
    )


async def aload_flow_from_storage(storage: RunnerStorage, entrypoint: str) -> Flow[..., Any]:
    """Return the flow at an entrypoint in a storage, whose code is pulled into a temporary folder unless it is local.

    The flow remembers where it is from. Raises what pulling raises, and as `load_flow_from_entrypoint` does.
    """
    from headrace.deploy.loading import load_flow_from_entrypoint

    if not isinstance(storage, LocalStorage):
        storage.set_base_path(Path(tempfile.mkdtemp(prefix="headrace-code-")))
    await storage.pull_code()
    file, colon, name = entrypoint.rpartition(":")
    found = load_flow_from_entrypoint(f"{storage.destination / file}:{name}" if colon else entrypoint)
    found.origin = Origin(storage, entrypoint)
    return found
