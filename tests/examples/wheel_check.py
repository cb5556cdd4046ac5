"""Shows that the wheels work away from the source tree: a flow, a plugin's block, the command line. `nox -s build` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import headrace
import headrace_shell
from headrace import flow, task
from headrace_shell import ShellOperation

SCRIPTS = Path(sys.executable).parent


@task(persist_result=True)
def square(number: int) -> int:
    return number * number


@flow
def add_squares(count: int) -> int:
    return sum(square.map(range(count)).result())


@flow
def say(word: str) -> list[str]:
    return ShellOperation(commands=[f"echo {word}"]).run()


def command_line(*words: str) -> str:
    return subprocess.run([SCRIPTS / "headrace", *words], capture_output=True, check=True, text=True).stdout


def main() -> None:
    for package in (headrace, headrace_shell):
        assert "site-packages" in Path(str(package.__file__)).parts, package.__file__
        assert Path(str(package.__file__)).with_name("py.typed").exists(), f"{package.__name__} does not ship its types"
    assert add_squares(10) == 285
    assert say("downstream") == ["downstream"]
    assert command_line("--version").strip() == headrace.__version__
    runs = json.loads(command_line("flow-run", "ls", "--output", "json"))
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"], runs
    plugins = json.loads(command_line("plugins", "list", "--output", "json"))
    found = {plugin["name"]: plugin["state"] for plugin in plugins}
    assert found.pop("builtin") == found.pop("shell") == "ready", plugins
    assert set(found.values()) <= {"ready", "degraded"}, plugins  # the packages that these stand on are not installed
    print(f"headrace {headrace.__version__} works from its wheel: {len(runs)} runs, {len(plugins)} plugins")


if __name__ == "__main__":
    main()
