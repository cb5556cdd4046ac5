"""Steps that run programs: shell scripts, and the installation of requirements."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Thread
from typing import IO, TextIO, TypedDict

from headrace.client.bridge import blocking
from headrace.model.errors import HeadraceException
from headrace.objects.offload import offload

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")


class RunShellScriptResult(TypedDict):
    """What a script wrote, without blank ends."""

    stdout: str
    stderr: str


class ScriptFailed(RuntimeError, HeadraceException):
    """A command of a script ended with another status than 0, or could not be started."""


async def arun_shell_script(
    script: str,
    directory: str | None = None,
    env: dict[str, str] | None = None,
    stream_output: bool = True,
    expand_env_vars: bool = False,
    shell: bool = False,
) -> RunShellScriptResult:
    """Run commands and return what they wrote to their output (`stdout`) and to their error output (`stderr`).

    Each line of `script` is a command of its own, run without a shell: pipes and `cd` mean nothing to it. `$NAME` stands for a variable of `env`,
    and with `expand_env_vars` for one of the environment too. With `shell`, one shell runs the whole script and stops at the first command that
    fails. `directory`: where to run (default: the working directory). `env`: variables beside those of the environment. `stream_output`: show
    what the commands write while they run. Raises `RuntimeError` for a command that fails; those after it are not run.
    """
    return await offload(_run_script, script, directory, env or {}, stream_output, expand_env_vars, shell)


def _run_script(
    script: str, directory: str | None, env: Mapping[str, str], stream_output: bool, expand_env_vars: bool, shell: bool
) -> RunShellScriptResult:
    if directory is not None and not os.path.isdir(directory):
        raise ScriptFailed(f"The script cannot run in {directory!r}: there is no such directory.")
    environment = {**os.environ, **{name: str(value) for name, value in env.items()}}
    commands = [["sh", "-ec", script]] if shell else _commands(script, environment if expand_env_vars else {k: str(v) for k, v in env.items()})
    written: list[RunShellScriptResult] = [_run(command, directory, environment, stream_output, script) for command in commands]
    return {"stdout": "".join(one["stdout"] for one in written).strip(), "stderr": "".join(one["stderr"] for one in written).strip()}


def _commands(script: str, variables: Mapping[str, str]) -> list[list[str]]:
    """Return the words of each line. Variables are put in after the line is split, so that no value becomes several words."""
    found: list[list[str]] = []
    for number, line in enumerate(script.replace("\\\n", " ").splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ScriptFailed(
                f"Line {number} of the script cannot be read: {error}: {line.strip()!r}. For a shell's syntax, set shell: true."
            ) from error
        if words:
            found.append([_VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match[0]), word) for word in words])
    return found


def _run(command: list[str], directory: str | None, environment: dict[str, str], stream_output: bool, script: str) -> RunShellScriptResult:
    told = script.strip() if command[0] == "sh" and command[-1] == script else shlex.join(command)
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ScriptFailed(
            f"{command[0]!r} cannot be run: {error.strerror or error}. Each line is a command of its own; with shell: true a shell runs them."
        ) from error
    out, err = _read(process, stream_output)
    if process.returncode:
        tail = (err.strip() or out.strip())[-1000:]
        raise ScriptFailed(f"The script failed with exit code {process.returncode}: {told!r}{': ' + tail if tail else ''}")
    return {"stdout": out, "stderr": err}


def _read(process: subprocess.Popen[str], stream_output: bool) -> tuple[str, str]:
    """Collect both outputs while the process runs: one that is full would stop it."""
    assert process.stdout is not None and process.stderr is not None, "both are pipes"
    collected: tuple[list[str], list[str]] = ([], [])

    def collect(stream: IO[str], lines: list[str], shown: TextIO) -> None:
        for line in stream:
            lines.append(line)
            if stream_output:
                shown.write(line)
                shown.flush()

    reader = Thread(target=collect, args=(process.stderr, collected[1], sys.stderr), daemon=True)
    try:
        with process:
            reader.start()
            collect(process.stdout, collected[0], sys.stdout)
            reader.join()
    except BaseException:  # interrupted: the command must not outlive the step
        process.kill()
        raise
    return "".join(collected[0]), "".join(collected[1])


async def apip_install_requirements(
    directory: str | None = None, requirements_file: str = "requirements.txt", stream_output: bool = True
) -> RunShellScriptResult:
    """Install what a requirements file lists into the environment of this process, and return what the installer wrote.

    `directory`: where the file is (default: the working directory). Raises `FileNotFoundError`, and `subprocess.CalledProcessError` when the
    installation fails.
    """
    file = os.path.join(directory or os.getcwd(), requirements_file)
    if not os.path.isfile(file):
        raise FileNotFoundError(f"There is no requirements file {file!r}. Name it with requirements_file, and its folder with directory.")
    return await offload(install, ["-r", requirements_file], directory, stream_output)


def install(arguments: list[str], directory: str | None = None, stream_output: bool = True) -> RunShellScriptResult:
    """Have pip, or uv where there is no pip, install into the environment of this process. Raises `subprocess.CalledProcessError`."""
    has_pip = find_spec("pip") is not None
    command = [sys.executable, "-m", "pip", "install"] if has_pip else ["uv", "pip", "install", "--python", sys.executable]
    try:
        return _run([*command, *arguments], directory, dict(os.environ), stream_output, "")
    except ScriptFailed as error:
        raise subprocess.CalledProcessError(1, [*command, *arguments], "", str(error)) from error


run_shell_script = blocking(arun_shell_script)
pip_install_requirements = blocking(apip_install_requirements)
