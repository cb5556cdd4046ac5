"""Installed dummy distributions: a folder on the path with modules and their metadata, as an installer would leave it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headrace.plugin.policy import Policy
from headrace.plugin.registry import Registry

OFFERING = """
from headrace.plugin import Offer, hookimpl

@hookimpl
def headrace_blocks():
    return [Offer({offer!r}, "{package}.blocks:Thing", "A thing for tests")]
"""


@dataclass
class Site:
    """A folder like site-packages. `install` puts a distribution into it."""

    folder: Path
    packages: list[str] = field(default_factory=list)

    def install(
        self,
        name: str,
        plugin: str | None = None,
        *,
        version: str = "1.0",
        entry: str | None = None,
        requires: tuple[str, ...] = (),
        files: dict[str, str] | None = None,
        group: str = "headrace.plugins",
    ) -> str:
        """Install distribution `name` whose `plugin.py` is `plugin`; return its package's name."""
        package = name.replace("-", "_")
        self.packages.append(package)
        content = {"__init__.py": '"""A dummy."""\n', "blocks.py": "class Thing:\n    pass\n", **(files or {})}
        content["plugin.py"] = textwrap.dedent(plugin or OFFERING).replace("{offer!r}", repr(f"{name}-thing"))
        for file, text in content.items():
            path = self.folder / package / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).replace("{package}", package))
        info = self.folder / f"{package}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A dummy\n{needs}")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry or package + '.plugin'}\n")
        importlib.invalidate_caches()
        return package

    def registry(self, cache: Path | None = None, **policy: object) -> Registry:
        """Return a registry that sees this site alone."""
        return Registry(Policy(cache_folder=cache, **policy), path=[str(self.folder)])  # type: ignore[arg-type]

    def forget(self) -> None:
        """Take this site's packages out of this process, as if it had just started."""
        for module in list(sys.modules):
            if module.partition(".")[0] in self.packages:
                del sys.modules[module]
        importlib.invalidate_caches()

    def is_imported(self, package: str) -> bool:
        return any(module.partition(".")[0] == package for module in sys.modules)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = Site(folder)
    yield made
    made.forget()


@pytest.fixture
def python(site: Site) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a fresh interpreter that sees the site."""

    def run(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env={**os.environ, "PYTHONPATH": str(site.folder), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
