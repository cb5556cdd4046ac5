"""Cloning with the `git` program. Credentials reach it through a file that only this user can read, never by its arguments or environment."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from headrace.client.bridge import asleep
from headrace.model.errors import HeadraceException, InvalidRepositoryURLError
from headrace.objects.offload import offload

TRIES = 3
_DELAYS_SECONDS = (0.5, 1.5)
TIMEOUT_SECONDS = 1800

_USERS = {"gitlab": "oauth2", "bitbucket": "x-token-auth"}
"""Which user name goes with a bare token, by a part of the host's name; `x-access-token` elsewhere."""
_LASTING = re.compile(
    r"authentication failed|could not read (?:username|password)|permission denied|access denied|not found|does not (?:exist|appear)"
    r"|invalid username|unable to find remote|couldn't find remote ref|403|401|not our ref|not a git repository|no such (?:file|remote)",
    re.IGNORECASE,
)
"""What git says when another try will not help."""


class GitError(subprocess.CalledProcessError, HeadraceException):
    """git could not do what was asked. `stderr` is what it said, without secrets."""

    def __str__(self) -> str:
        return f"git {self.cmd[1]} of {self.cmd[-1]} failed with status {self.returncode}: {(self.stderr or '').strip() or 'git said nothing'}"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password or token."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r}, ********)"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository's address without credentials, and those credentials."""

    url: str
    login: Login | None = None

    @property
    def name(self) -> str:
        """The last part of the address, which git names the folder after."""
        return re.split(r"[/:]", self.url.rstrip("/").removesuffix("/.git"))[-1].removesuffix(".git") or "repository"

    @property
    def secrets(self) -> list[str]:
        """Every form in which the password may appear in what git says."""
        if self.login is None or not self.login.password:
            return []
        whole = f"{self.login.username}:{self.login.password}"
        return [whole, b64encode(whole.encode()).decode(), self.login.password, quote(self.login.password, safe="")]


def repository_at(url: str, access_token: Any = None, credentials: Any = None) -> Repository:
    """Return the repository at `url`, for which credentials may stand in the address, in `access_token` or in a block.

    A token may be `user:password`. Credentials are a block, or its data: with `token` (or `access_token`, `value`), or with `username` and
    `password`; a block may also have `format_git_credentials(url)`, which returns the address with them in it. Raises `ValueError` for both
    together, for an address that git would take as an option, and for credentials that hold none.
    """
    if access_token is not None and credentials is not None:
        raise ValueError("Please provide either an access token or credentials but not both.")
    written: Any = getattr(credentials, "format_git_credentials", None)
    if written is not None:
        return repository_at(str(written(url)))
    if url.startswith("-") or "::" in url.split("/", maxsplit=1)[0]:
        raise ValueError(f"{url!r} is no address of a repository, such as https://host/owner/name.git, git@host:owner/name.git or file:///path.")
    parts = urlsplit(url)
    login: Login | None = None
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        user, _, host = parts.netloc.rpartition("@")
        url = urlunsplit(parts._replace(netloc=host))
        name, colon, password = user.partition(":")
        login = Login(unquote(name), unquote(password)) if colon else _login(unquote(user), host)
    given = access_token if access_token is not None else credentials
    if given is not None:
        login = _login_of(given, parts.hostname or "")
        if login is None:
            raise ValueError("The credentials hold no token, and no user name with a password. Give a block that has them.")
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"A token or password can be used with http(s) addresses alone; {url!r} is none. Use an SSH key, or an https address.")
    return Repository(url, login)


def url_with_login(url: str, username: str, password: str) -> str:
    """Return an address with credentials in it, every character of them encoded that means something there. For http(s) addresses alone.

    For `format_git_credentials` of a credentials block: what it returns is taken apart again before git is called. Raises
    `InvalidRepositoryURLError` for an address that would send them in the clear or to nowhere.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRepositoryURLError(f"{url!r} is no https address, so a token cannot be used with it. Use one, or an SSH key without a token.")
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(username, safe='')}:{quote(password, safe='')}" if username else quote(password, safe="")
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def _login(text: str, host: str) -> Login:
    user, colon, password = text.partition(":")
    if colon:
        return Login(user, password)
    return Login(next((name for part, name in _USERS.items() if part in host), "x-access-token"), text)


def _login_of(given: Any, host: str) -> Login | None:
    value = _plain(given)
    if isinstance(value, str):
        return _login(value, host) if value else None
    names = ("token", "access_token", "value", "username", "password")
    fields = {name: _plain(_field(value, name)) for name in names}
    token = next((fields[name] for name in names[:3] if fields[name]), None)
    if token is None:
        return Login(str(fields["username"] or ""), str(fields["password"])) if fields["password"] else None
    return Login(str(fields["username"]), str(token)) if fields["username"] else _login(str(token), host)


def _field(value: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


# --- running git ------------------------------------------------------------------------------------------------------------------


@contextmanager
def _configuration(repository: Repository) -> Generator[list[str]]:
    """Give the options that let git find the credentials, for the repository's own host alone."""
    quiet = ["-c", "credential.helper=", "-c", "core.askPass="] if repository.login is not None else []
    if repository.login is None:
        yield quiet
        return
    parts = urlsplit(repository.url)
    folder = tempfile.mkdtemp(prefix="headrace-git-")  # made for this user alone
    try:
        file = Path(folder) / "login"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="\n") as out:
            out.write(f"username={repository.login.username}\npassword={repository.login.password}\n")
        helper = f'!f() {{ test "$1" = get && cat {shlex.quote(file.as_posix())}; }}; f'
        yield [*quiet, "-c", f"credential.{parts.scheme}://{parts.netloc}.helper={helper}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_git(arguments: Sequence[str], repository: Repository, folder: Path | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Run a git command that may need the repository's credentials and return what it printed. Asks nothing. Raises `GitError`."""
    with _configuration(repository) as options:
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GCM_INTERACTIVE": "never"}
        told = ["git", arguments[0], repository.url]
        try:
            done = subprocess.run(
                ["git", *options, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
            )
        except FileNotFoundError:
            raise GitError(127, told, "", "the program git is not installed, or not on the PATH. Install it.") from None
        except subprocess.TimeoutExpired:
            raise GitError(124, told, "", f"it did not end within {timeout_seconds:g} seconds.") from None
    if done.returncode:
        raise GitError(done.returncode, told, "", _hidden(done.stderr or done.stdout, repository))
    return done.stdout


def _hidden(text: str, repository: Repository) -> str:
    for secret in repository.secrets:
        text = text.replace(secret, "********")
    return re.sub(r"(://)[^/@\s]+@", r"\1********@", text)


def is_reachable(repository: Repository, branch: str | None = None, timeout_seconds: float = 30) -> None:
    """Ask the repository for its branches. Raises `GitError` when it cannot be reached, and `ValueError` when it lacks `branch`."""
    listed = run_git(["ls-remote", "--heads", "--tags", "--", repository.url], repository, timeout_seconds=timeout_seconds)
    names = re.findall(r"\trefs/(?:heads|tags)/([^\s^]+)", listed)
    if branch is not None and branch not in names:
        from headrace.model.errors import near

        raise ValueError(f"{repository.url} has no branch {branch!r}. {near(branch, names) or 'It has: ' + ', '.join(sorted(set(names))[:20])}")


# --- cloning ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a repository is wanted."""

    branch: str | None = None
    commit_sha: str | None = None
    include_submodules: bool = False
    directories: tuple[str, ...] = ()
    depth: int | None = 1
    """How many commits of history; None: all of it."""

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"A depth of {self.depth} commits is not possible. Give 1 or more, or nothing for the whole history.")
        if self.branch is not None and self.commit_sha is not None:
            raise ValueError("Please provide either a branch or a commit SHA but not both.")
        for name in (self.branch, self.commit_sha, *self.directories):
            if name is not None and (name.startswith("-") or not name):
                raise ValueError(f"{name!r} is no name of a branch, commit or directory.")


def clone(repository: Repository, wanted: Wanted, folder: Path) -> None:
    """Bring what is wanted of a repository into `folder`, which a failure leaves as it was; an earlier clone there is brought up to date.

    Raises `GitError`, and `ValueError` when `folder` holds anything else.
    """
    if folder.exists() and any(folder.iterdir()):
        _check_is_clone(repository, folder)
        _update(repository, wanted, folder)
        return
    existed = folder.exists()
    try:
        _clone(repository, wanted, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if existed:
            folder.mkdir(parents=True, exist_ok=True)
        raise


def _clone(repository: Repository, wanted: Wanted, folder: Path) -> None:
    sparse = bool(wanted.directories)
    options = ["--no-checkout", "--filter=blob:none"] if sparse or wanted.commit_sha else []
    options += ["--branch", wanted.branch] if wanted.branch else []
    if wanted.depth is not None and not wanted.commit_sha:
        options += ["--depth", str(wanted.depth)]
    run_git(["clone", "--quiet", *options, "--", repository.url, str(folder)], repository)
    if sparse:
        run_git(["sparse-checkout", "set", *wanted.directories], repository, folder)
    if wanted.commit_sha:
        _fetch_commit(repository, wanted.commit_sha, folder)
        run_git(["checkout", "--quiet", "--detach", wanted.commit_sha], repository, folder)
    elif sparse:
        run_git(["checkout", "--quiet"], repository, folder)
    _bring_submodules(repository, wanted, folder)


def _fetch_commit(repository: Repository, commit: str, folder: Path) -> None:
    try:
        run_git(["cat-file", "-e", f"{commit}^{{commit}}"], repository, folder)
    except GitError:
        run_git(["fetch", "--quiet", "origin", commit], repository, folder)


def _update(repository: Repository, wanted: Wanted, folder: Path) -> None:
    if wanted.directories:
        run_git(["sparse-checkout", "set", *wanted.directories], repository, folder)
    if wanted.commit_sha:
        _fetch_commit(repository, wanted.commit_sha, folder)
        target = wanted.commit_sha
    else:
        depth = ["--depth", str(wanted.depth)] if wanted.depth is not None else []
        run_git(["fetch", "--quiet", *depth, "origin", wanted.branch or "HEAD"], repository, folder)
        target = "FETCH_HEAD"
    run_git(["reset", "--quiet", "--hard", target], repository, folder)
    _bring_submodules(repository, wanted, folder)


def _bring_submodules(repository: Repository, wanted: Wanted, folder: Path) -> None:
    if wanted.include_submodules:
        run_git(["submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"], repository, folder)


def _check_is_clone(repository: Repository, folder: Path) -> None:
    try:
        present = run_git(["config", "--get", "remote.origin.url"], repository, folder).strip() if (folder / ".git").exists() else None
    except GitError:
        present = None
    if present is None or repository_at(present).url != repository.url:
        what = f"a clone of {repository_at(present).url}" if present else "other files"
        raise ValueError(f"{folder} holds {what}, so {repository.url} cannot be cloned there. Choose another clone_directory_name.")


async def aclone(repository: Repository, wanted: Wanted, folder: Path) -> None:
    """Clone as `clone` does; a failure that may pass, as one of the network, is tried again, three times in all."""
    for attempt in range(TRIES):
        try:
            await offload(clone, repository, wanted, folder)
            return
        except GitError as error:
            if attempt == TRIES - 1 or _LASTING.search(error.stderr or ""):
                raise
            await asleep(_DELAYS_SECONDS[attempt] * (0.5 + random.random()))  # not for secrecy
