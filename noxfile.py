"""The workspace's tasks: `nox` runs what must be green before a change is handed over, `nox -l` lists the rest.

Everything is installed by uv, within the versions of constraints.txt (all sessions but `lowest` and `latest`), for the interpreter that
runs nox. Words after `--` go to the tool that a session runs: `nox -s tests -- tests/engine -k retries`, `nox -s plugins -- shell`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "scenarios", "containers", "plugins", "build", "demo"]

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code makes the second process start fast, and is part of what is measured
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))  # where uv stands beside nox
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))
EXAMPLES_PLUGIN = "./plugins/headrace-shell"
"""The plugin that examples and core's tests use. The others bring large packages, and have environments of their own."""
OWN_FOLDERS = ["tests/scenarios", "tests/benchmarks", "tests/compat", "tests/containers", "tests/fuzz", "tests/images"]
"""Folders under tests/ that have a session of their own."""
PROCESSES = "2"
"""Test processes at once: tests start processes of their own."""
SERVICES = {
    "postgresql": lambda: shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "redis-server": lambda: shutil.which("redis-server") is not None,
}
"""Debian's packages of what tests start, and how to see that it is there."""
TOOLS = SERVICES | {
    "docker.io": lambda: shutil.which("dockerd") is not None,
    "docker-registry": lambda: shutil.which("docker-registry") is not None,
    "npm": lambda: shutil.which("npm") is not None,
    "systemd": lambda: shutil.which("systemd-analyze") is not None,
    "busybox-static": lambda: (program := shutil.which("busybox")) is not None and b"/ld-linux" not in Path(program).read_bytes(),
}
"""Those, and the ones of containers and units."""
IMAGE_TOOLS = TOOLS | {name: lambda name=name: shutil.which(name) is not None for name in ("debootstrap", "docker-compose")}
"""Those of the session `images`, likewise."""
ORIGINAL = ["prefect==3.8.8", "fastapi<0.140"]
"""The program whose client must work against our server."""
YARDSTICK = [*ORIGINAL, "dbos"]
"""The programs that the benchmarks compare with."""


def install(session: nox.Session, *parts: str, groups: tuple[str, ...] = (), constrained: bool = True) -> None:
    """Install parts of the workspace, editable, and the tools of dependency groups."""
    words = [word for part in parts for word in ("--editable", part)]
    words += [word for group in groups for word in ("--group", group)]
    if constrained:
        words += ["--constraints", str(CONSTRAINTS)]
    session.install(*words)


def install_services(session: nox.Session, wanted: dict[str, Callable[[], bool]]) -> None:
    """Install the programs that tests start and that no Python package brings, as far as this user may."""
    missing = [package for package, found in wanted.items() if not found()]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        session.error(f"The tests start these services, which are not on this machine: {', '.join(missing)}. Install them first.")
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        session.run("apt-get", *words, external=True, silent=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def pytest(session: nox.Session, *words: str, own_folders: bool = False) -> None:
    """Run pytest in parallel, or on what was asked for after `--`."""
    ignored = [] if own_folders else [f"--ignore={folder}" for folder in OWN_FOLDERS]
    session.run("python", "-m", "pytest", "-q", "-n", PROCESSES, *ignored, *(session.posargs or words))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style (ruff) and the direction of imports (import-linter)."""
    install(session, "./core[server]", EXAMPLES_PLUGIN, groups=("lint", "tests"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of core, strictly. (Those of plugins are checked where their packages are installed, by `plugins`.)"""
    install(session, "./core[server]", groups=("types", "tests"))
    session.run("pyright", *(session.posargs or ["core/src"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Run core's tests, each in blocking and async mode where it has both."""
    install(session, "./core[server]", EXAMPLES_PLUGIN, groups=("tests",))
    install_services(session, TOOLS)
    pytest(session, "tests")


@nox.session
def minimal(session: nox.Session) -> None:
    """Run core's tests with nothing installed but core: no extras, no plugins."""
    install(session, "./core", groups=("tests",))
    install_services(session, TOOLS)
    pytest(session, "tests", "--ignore=tests/examples", "--minimal")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run core's tests with the oldest versions that its bounds promise."""
    session.install("--editable", "./core[server]", "--group", "tests", "--resolution", "lowest-direct", "--upgrade")
    install_services(session, TOOLS)
    pytest(session, "tests", "--ignore=tests/examples")


@nox.session
def latest(session: nox.Session) -> None:
    """Run core's tests with the newest versions there are."""
    session.install("--editable", "./core[server]", "--editable", EXAMPLES_PLUGIN, "--group", "tests", "--upgrade")
    install_services(session, TOOLS)
    pytest(session, "tests")


@nox.session
def pythons(session: nox.Session) -> None:
    """Run core's tests with other interpreters: those named after `--` by path, or else every newer one found on the path."""
    for python in session.posargs or other_pythons():
        environment = fresh_environment(session, Path(python).name, base=python)
        words = ["--editable", "./core[server]", "--group", "tests", "--constraints", str(CONSTRAINTS)]
        session.run("uv", "pip", "install", "--quiet", "--python", environment, *words, external=True)
        ignored = [f"--ignore={folder}" for folder in (*OWN_FOLDERS, "tests/examples")]
        session.run(environment, "-m", "pytest", "-q", "-n", PROCESSES, "tests", *ignored, external=True)


@nox.session
def scenarios(session: nox.Session) -> None:
    """Run whole stories with real processes, killed and started again."""
    install(session, "./core[server]", EXAMPLES_PLUGIN, groups=("tests",))
    install_services(session, SERVICES)
    pytest(session, "tests/scenarios", own_folders=True)


@nox.session
def containers(session: nox.Session) -> None:
    """Try the container engine and registries that plugins' tests stand on, and the units of core/docs/operations."""
    install(session, "./core[server]", groups=("tests",))
    install_services(session, TOOLS)
    pytest(session, "tests/containers", own_folders=True)


@nox.session
def images(session: nox.Session) -> None:
    """Build the image of core/docs/operations and run it as its compose file and units say. Takes some minutes and the package archives."""
    install(session, "./core[server]", groups=("tests",))
    install_services(session, IMAGE_TOOLS)
    session.env["IMAGE_CACHE"] = str(work_folder(session))
    session.run("python", "-m", "pytest", "-q", "tests/images", *session.posargs)


@nox.session
def compat(session: nox.Session) -> None:
    """Let the original's unmodified client, in an environment of its own, work against our server."""
    install(session, "./core[server]", EXAMPLES_PLUGIN, groups=("tests",))
    theirs = fresh_environment(session, "original")
    session.run("uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", theirs, *ORIGINAL, external=True)
    session.env["COMPAT_PYTHON"] = theirs
    pytest(session, "tests/compat", own_folders=True)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Send 20,000 odd requests to every route of a server; words after `--` are options of `schemathesis run`."""
    install(session, "./core[server]", groups=("tests",))
    tool = fresh_environment(session, "schemathesis")
    session.run("uv", "pip", "install", "--quiet", "--python", tool, "schemathesis>=4", external=True)
    session.run("python", "tests/fuzz/run.py", str(Path(tool).parent / "schemathesis"), *session.posargs)


@nox.session
def plugins(session: nox.Session) -> None:
    """Check the types of each plugin and run its tests, in an environment of its own.

    `-- aws gcp` takes these; without a word it is all of them. Sessions of different plugins may run side by side.
    """
    session.install("--group", "types", "--constraints", str(CONSTRAINTS))
    install_services(session, TOOLS)
    names = {folder.name.removeprefix("headrace-"): folder for folder in PLUGINS}
    if unknown := sorted(set(session.posargs) - set(names)):
        session.error(f"No plugin is called {' or '.join(unknown)}; there are: {', '.join(names)}.")
    chosen = [names[word] for word in session.posargs] or PLUGINS
    for folder in chosen:
        python = fresh_environment(session, folder.name)
        words = ["--editable", "./core[server]", "--editable", f"./plugins/{folder.name}", "--group", "tests", "--constraints", str(CONSTRAINTS)]
        session.run("uv", "pip", "install", "--quiet", "--python", python, *words, *own_tools(folder), external=True)
        session.run("pyright", "--pythonpath", python, f"plugins/{folder.name}/src")
        session.run(python, "-m", "pytest", "-q", "-n", PROCESSES, f"plugins/{folder.name}/tests", external=True)


@nox.session
def migrations(session: nox.Session) -> None:
    """Run the tests of the database schema and of its migrations."""
    install(session, "./core[server]", groups=("tests",))
    install_services(session, SERVICES)
    pytest(session, "tests/store")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheels, install them away from the source tree, and run a flow, a plugin's block and the command line from them.

    Of the plugins only the examples' gets what it requires: the others must say what is missing, and hurt nobody.
    """
    wheels = work_folder(session) / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    for folder in (ROOT / "core", *PLUGINS):
        words = ["--quiet", "--wheel", "--out-dir", str(wheels), "--build-constraints", str(CONSTRAINTS), str(folder)]
        session.run("uv", "build", *words, external=True)
    python = fresh_environment(session, "bare")
    whole = sorted(str(file) for name in ("headrace", "headrace_shell") for file in wheels.glob(f"{name}-*.whl"))
    others = sorted({str(file) for file in wheels.glob("*.whl")} - set(whole))
    into = ["uv", "pip", "install", "--quiet", "--python", python]
    session.run(*into, "--constraints", str(CONSTRAINTS), *whole, external=True)
    if others:
        session.run(*into, "--no-deps", *others, external=True)
    home = wheels.parent / "elsewhere"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    shutil.copy(ROOT / "tests" / "examples" / "wheel_check.py", home)
    with session.chdir(home):
        session.run(python, "-I", "wheel_check.py", external=True, env={"HEADRACE_HOME": str(home / "home")})


@nox.session
def demo(session: nox.Session) -> None:
    """Run the weather pipeline on real data, twice, then ask the command line what happened."""
    install(session, "./core", "./plugins/headrace-shell")
    folder = work_folder(session)
    shutil.rmtree(folder)
    session.env.update(HEADRACE_HOME=str(folder / "home"), COLUMNS="150")
    session.run("python", "core/examples/weather_etl.py", "--output", str(folder / "report"))
    runs = json.loads(session.run("headrace", "flow-run", "ls", "--output", "json", silent=True) or "[]")
    last = max((run["id"] for run in runs if run["parent_task_run_id"] is None), default="")
    for words in ("flow-run ls", f"flow-run inspect {last}", f"flow-run logs {last} --tail", "artifact ls", "artifact inspect weather-report"):
        session.run("headrace", *words.split())


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory, as ratios to the programs that are the yardstick."""
    install(session, "./core[server]", groups=("tests",))  # what starts PostgreSQL
    install_services(session, SERVICES)
    ours = fresh_environment(session, "headrace")
    theirs = fresh_environment(session, "yardstick")
    compiled = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python"]
    session.run(*compiled, ours, "--constraints", str(CONSTRAINTS), "./core[server]", external=True)
    session.run(*compiled, theirs, *YARDSTICK, external=True)
    programs = ["--headrace", ours, "--yardstick", theirs]
    for tool in ("aws", "dbt"):
        folder = ROOT / "plugins" / f"headrace-{tool}"
        python = fresh_environment(session, folder.name)
        words = ["--constraints", str(CONSTRAINTS), "./core[server]", f"./plugins/{folder.name}", "--group", "tests", *own_tools(folder)]
        session.run(*compiled, python, *words, external=True)
        programs += [f"--{tool}", python]
    session.run("python", "tests/benchmarks/run.py", *programs, *session.posargs)


@nox.session(venv_backend="none")
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew: the versions that everything is developed and tested with."""
    wanted = ROOT / ".nox" / "constraints.in"
    wanted.parent.mkdir(exist_ok=True)
    wanted.write_text("".join(f"{folder}\n" for folder in (f"{ROOT / 'core'}[server]", *PLUGINS)))
    ours = [word for folder in (Path("headrace"), *PLUGINS) for word in ("--no-emit-package", folder.name)]
    groups = [word for group in ("lint", "types", "tests", "build") for word in ("--group", group)]
    groups += [word for folder in PLUGINS for word in own_tools(folder)]
    words = ["--universal", "--python-version", "3.11", "--upgrade", "--no-header", "--no-annotate", "--quiet", "--output-file", str(CONSTRAINTS)]
    session.run("uv", "pip", "compile", str(wanted), *groups, *ours, *words, external=True)


def own_tools(plugin: Path) -> list[str]:
    """Return the words that install what a plugin's own tests need: the group `tests` of its pyproject.toml, if it has one."""
    groups = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8")).get("dependency-groups", {})
    return ["--group", f"plugins/{plugin.name}/pyproject.toml:tests"] if "tests" in groups else []


def work_folder(session: nox.Session) -> Path:
    """Return a folder of the session's own. (nox's `create_tmp` would also move the tests' temporary files into the repository.)"""
    folder = Path(session.virtualenv.location).resolve() / "work"
    folder.mkdir(exist_ok=True)
    return folder


def other_pythons() -> list[str]:
    """Return the interpreters from Python 3.11 on that the path leads to and that answer, without the one that runs nox."""
    found = [shutil.which(f"python3.{minor}") for minor in range(11, 20) if minor != sys.version_info.minor]
    return [path for path in found if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0]


def fresh_environment(session: nox.Session, name: str, base: str = sys.executable) -> str:
    """Make an empty environment beside the session's own, and return its interpreter."""
    folder = work_folder(session) / name
    session.run("uv", "venv", "--quiet", "--clear", "--python", base, str(folder), external=True)
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
