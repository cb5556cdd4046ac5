"""The tests that every plugin passes, first-party or not. Inherit `PluginContract`, name the plugin, and run pytest."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import SecretBytes, SecretStr

from headrace.blocks.core import Block
from headrace.deploy.workers.base import BaseWorker
from headrace.deploy.workers.worker import Worker, as_base_worker
from headrace.model.job_templates import checked_template, placeholders, properties
from headrace.operations.pools.collections import WORKER_TYPES
from headrace.plugin import discovery, modules
from headrace.plugin.discovery import Candidate
from headrace.plugin.listing import README_END, README_START, block_schemas, readme_table
from headrace.plugin.offers import Kind, Offer, PluginRecord, PluginState
from headrace.plugin.policy import Policy
from headrace.plugin.registry import Registry, import_target
from headrace.testing.utilities import headrace_test_harness

_SECRET_FIELD = re.compile(r"(^|_)(password|passwd|passphrase|secret|token|api_key|private_key|access_key|connection_string|dsn)$")
_API_KEY = "contract-key-0123456789"
_NEW_MODULES = """
import json, sys
before = set(sys.modules)
import importlib
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


class PluginContract:
    """What headrace and its users expect of a plugin.

    Set `plugin` to the name of the entry point. `block_examples` holds, for each block slug that cannot be made without
    arguments, the arguments of a complete example, secrets included; `job_variables`, for each worker type whose template has
    required variables, an example of those. The tests need the plugin to be installed, an
    editable install will do, and stand in a `tests` folder beside its `pyproject.toml`.
    """

    plugin: ClassVar[str]
    block_examples: ClassVar[dict[str, dict[str, Any]]] = {}
    job_variables: ClassVar[dict[str, dict[str, Any]]] = {}

    @pytest.fixture(autouse=True)
    def contract_home(self) -> Iterator[None]:
        """Give each test an empty home and no server, so that nothing of the machine is read or written."""
        with headrace_test_harness():
            yield

    # --- what the tests look at ----------------------------------------------------------------------------------

    @cached_property
    def registry(self) -> Registry:
        """A registry that knows no plugin but this one."""
        return Registry(Policy(allow=frozenset({self.candidate.distribution})))

    @cached_property
    def candidate(self) -> Candidate:
        """The plugin's entry point."""
        found = [candidate for candidate in discovery.discover() if candidate.name == self.plugin]
        assert found, f"No entry point {self.plugin!r} in the group headrace.plugins. Is the plugin installed?"
        assert len(found) == 1, f"Several distributions have an entry point {self.plugin!r}: {found}"
        return found[0]

    @cached_property
    def record(self) -> PluginRecord:
        """What the registry says of the plugin."""
        return next(record for record in self.registry.records() if record.name == self.plugin)

    @property
    def root(self) -> Path:
        """The folder with the plugin's `pyproject.toml`, README and CHANGELOG."""
        file = sys.modules[type(self).__module__].__file__
        assert file is not None
        for folder in Path(file).resolve().parents:
            if (folder / "pyproject.toml").is_file():
                return folder
        raise AssertionError(f"No pyproject.toml in any folder above {file}")

    @property
    def package(self) -> str:
        """The plugin's top-level package."""
        return self.candidate.module.partition(".")[0]

    def offers(self) -> Iterator[tuple[Kind, Offer]]:
        """Every offer with its kind."""
        for kind, offers in self.record.offers.items():
            for offer in offers:
                yield kind, offer

    def usable_blocks(self) -> Iterator[tuple[str, type[Block]]]:
        """The block classes whose SDK is installed here."""
        for offer in self.record.offers.get(Kind.BLOCK, ()):
            if all(modules.is_available(name) for name in offer.modules):
                found = self.registry.resolve(Kind.BLOCK, offer.name)
                assert isinstance(found, type)
                assert issubclass(found, Block)
                yield offer.name, found

    def example(self, slug: str, block_class: type[Block]) -> Block:
        """Make the example of a block."""
        try:
            return block_class(**self.block_examples.get(slug, {}))
        except ValueError as error:
            raise AssertionError(f"Give block_examples[{slug!r}] what {block_class.__name__} needs: {error}") from error

    # --- the light module ----------------------------------------------------------------------------------------

    def test_plugin_is_ready(self) -> None:
        """The plugin loads, does not clash with headrace and implements only hooks that exist."""
        states = (PluginState.READY, PluginState.DEGRADED)
        assert self.record.state in states, f"{self.record.reason} {self.record.remedy}\n{self.record.traceback or ''}"
        assert self.record.traceback is None, self.record.traceback
        assert not self.record.notes, "\n".join(self.record.notes)

    def test_plugin_states_its_hook_api(self) -> None:
        """`HEADRACE_PLUGIN_API_REQUIRES` is written down, with both bounds, so that a change of hooks is noticed."""
        source = modules.source_of(self.candidate.module) or ""
        assert "HEADRACE_PLUGIN_API_REQUIRES" in source, (
            f"State the hook API in {self.candidate.module}: HEADRACE_PLUGIN_API_REQUIRES = {self.record.requires!r}"
        )

    def test_light_module_imports_nothing_foreign(self) -> None:
        """Importing the entry point's module brings in the standard library, headrace and the plugin itself only."""
        foreign = {name.partition(".")[0] for name in self._modules_brought_by(self.candidate.module)}
        foreign -= sys.stdlib_module_names | {"headrace", self.package}
        foreign = {name for name in foreign if not name.startswith("__editable__")}
        assert not foreign, f"{self.candidate.module} imports {sorted(foreign)}; import these where they are used."

    def test_package_imports_no_sdk(self) -> None:
        """`import <package>` alone does not pay for what single offers need."""
        needed = {module for _, offer in self.offers() for module in offer.modules}
        early = needed & set(self._modules_brought_by(self.package))
        assert not early, f"import {self.package} imports {sorted(early)}; load names lazily, with a module __getattr__."

    def _modules_brought_by(self, module: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", _NEW_MODULES, module], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    # --- the offers ----------------------------------------------------------------------------------------------

    def test_offers_resolve(self) -> None:
        """Each offer whose modules are installed points to something of its kind; each alias to the same."""
        for kind, offer in self.offers():
            if all(modules.is_available(name) for name in offer.modules):
                found = self.registry.resolve(kind, offer.name)
                assert all(self.registry.resolve(kind, alias) is found for alias in offer.aliases)

    def test_extras_exist(self) -> None:
        """An extra that an offer names is one that the distribution has."""
        metadata = discovery.extras(self.candidate)
        unknown = {offer.extra for _, offer in self.offers() if offer.extra} - set(metadata)
        assert not unknown, f"Offers name the extras {sorted(unknown)}; pyproject.toml has {sorted(metadata)}."

    def test_block_slugs_are_those_of_the_classes(self) -> None:
        """The name of a block offer is the class's slug, so that a stored document finds its class."""
        for slug, block_class in self.usable_blocks():
            assert block_class.get_block_type_slug() == slug, f"Offer {block_class.__name__} by its slug."

    def test_public_names_are_documented(self) -> None:
        """Each module has a docstring, and so has each public class and function that it defines."""
        missing: list[str] = []
        for module in self._own_modules():
            if not (module.__doc__ or "").strip():
                missing.append(module.__name__)
            missing += [f"{module.__name__}.{name}" for name, value in _definitions(module) if not _has_docstring(value)]
        assert not missing, f"Without a docstring: {', '.join(missing)}"

    def _own_modules(self) -> Iterator[ModuleType]:
        package = self._module(self.package)
        yield package
        for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{self.package}."):
            if found.name.rpartition(".")[2] == "__main__":
                continue
            try:
                yield self._module(found.name)
            except ModuleNotFoundError as error:
                optional = {module.partition(".")[0] for _, offer in self.offers() for module in offer.modules}
                if (error.name or "").partition(".")[0] not in optional:
                    raise

    def _module(self, name: str) -> ModuleType:
        module = import_target(name)
        assert isinstance(module, ModuleType)
        return module

    # --- workers, steps and bundles ------------------------------------------------------------------------------

    def usable(self, kind: Kind) -> Iterator[tuple[Offer, Any]]:
        """What is offered of a kind and can be used here, with its offer."""
        for offer in self.record.offers.get(kind, ()):
            if all(modules.is_available(name) for name in offer.modules):
                yield offer, self.registry.resolve(kind, offer.name)

    def usable_workers(self) -> Iterator[tuple[str, Any]]:
        """The worker types whose SDK is installed here, as the library runs them."""
        for offer, found in self.usable(Kind.WORKER):
            yield offer.name, as_base_worker(found) if issubclass(found, Worker) else found

    def test_workers_say_what_they_are(self) -> None:
        """The name of a worker offer is the class's type; the type has a description and can stop what it starts."""
        for name, worker in self.usable_workers():
            assert worker.type == name, f"Offer {worker.__name__} by its type, {worker.type!r}."
            assert worker.get_description().strip(), f"Give {worker.__name__} a description: it is shown where pools are made."
            stops = any("kill_infrastructure" in vars(base) for base in worker.__mro__ if base is not BaseWorker)
            assert stops, f"{worker.__name__} cannot stop a run: write kill_infrastructure."

    def test_variables_of_workers_do_something(self) -> None:
        """A worker's template declares what it uses, uses what it declares, and says what each variable is."""
        for name, worker in self.usable_workers():
            template = checked_template(worker.get_default_base_job_template())
            declared = properties(template)
            idle = set(declared) - placeholders(template["job_configuration"])
            assert not idle, f"The template of {name} declares variables that nothing uses, so setting them does nothing: {sorted(idle)}"
            silent = sorted(variable for variable, schema in declared.items() if not schema.get("description"))
            assert not silent, f"The template of {name} does not describe {silent}."

    def test_pools_made_where_the_plugin_is_missing_begin_with_its_templates(self) -> None:
        """What core's list of worker types says of a worker's template is what the worker says. (`UPDATE_WORKER_TYPES=1` writes the list anew.)"""
        listed = json.loads(WORKER_TYPES.read_text(encoding="utf-8"))
        types: dict[str, Any] = listed.get(self.record.distribution, {})
        own = {name: json.loads(json.dumps(worker.get_default_base_job_template())) for name, worker in self.usable_workers() if name in types}
        if os.environ.get("UPDATE_WORKER_TYPES"):
            for name, template in own.items():
                types[name]["default_base_job_configuration"] = template
            WORKER_TYPES.write_text(f"{json.dumps(listed, indent=1)}\n", encoding="utf-8")
        for name, template in own.items():
            assert types[name]["default_base_job_configuration"] == template, "Write the list anew: UPDATE_WORKER_TYPES=1"

    def test_workers_make_configurations_that_show_no_secret(self) -> None:
        """A job is configured by the template's defaults and the required variables alone, and its text shows no API key."""
        for name, worker in self.usable_workers():
            given = self.job_variables.get(name, {})
            values = {**given, "env": {**given.get("env", {}), "HEADRACE_API_KEY": _API_KEY}}
            making = worker.job_configuration.from_template_and_values(worker.get_default_base_job_template(), values)
            try:
                configuration = asyncio.run(making)
            except ValueError as error:
                raise AssertionError(f"Give job_variables[{name!r}] what its template requires: {error}") from error
            assert _API_KEY not in f"{configuration!r} {configuration}", f"The configuration of {name} shows the API key when it is printed."

    def test_steps_can_be_named_and_called(self) -> None:
        """A step is found by its dotted name as it is by import, and has a docstring and annotated inputs."""
        for offer, step in self.usable(Kind.STEP):
            assert callable(step), f"The step {offer.name} is no function."
            assert _has_docstring(step), f"The step {offer.name} has no docstring."
            inputs = inspect.signature(step).parameters.values()
            bare = [one.name for one in inputs if one.annotation is inspect.Parameter.empty]
            assert not bare, f"The step {offer.name} has inputs without annotations: {bare}"
            assert not any(one.kind is inspect.Parameter.POSITIONAL_ONLY for one in inputs), f"{offer.name}: steps are given inputs by name."
            if "." in offer.name:
                module, _, function = offer.name.rpartition(".")
                assert getattr(self._module(module), function) is step, f"The step {offer.name} is another function than that of its name."

    def test_bundles_are_kept_and_run_by_commands(self) -> None:
        """Where there is a package `bundles`, its modules `upload` and `execute` are commands that take a key and say how to use them."""
        if modules.spec_of(f"{self.package}.bundles") is None:
            return
        for name in (f"{self.package}.bundles.upload", f"{self.package}.bundles.execute"):
            assert modules.spec_of(name) is not None, f"There is no module {name}: what one stores the other runs."
            told = self._command(name, "--help")
            assert told.returncode == 0, f"`python -m {name} --help` fails:\n{told.stderr}"
            assert "--key" in told.stdout, f"`python -m {name}` takes no --key, by which bundles are told apart."
            assert self._command(name).returncode != 0, f"`python -m {name}` without arguments does not fail."

    def _command(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=120, check=False)

    # --- blocks --------------------------------------------------------------------------------------------------

    def test_block_schemas_match_the_snapshot(self) -> None:
        """A change of a block's fields is a decision: it shows in `tests/block_schemas.json`, and in the version."""
        schemas = block_schemas(dict(self.usable_blocks()))
        if not schemas:
            return
        file = self.root / "tests" / "block_schemas.json"
        advice = f"`headrace plugins inspect {self.plugin} --schemas > {file.relative_to(self.root)}`"
        assert file.is_file(), f"Write the snapshot: {advice}"
        assert json.loads(file.read_text(encoding="utf-8")) == schemas, (
            f"The fields of a block have changed. If that is meant, note it in CHANGELOG.md and run {advice}"
        )

    def test_secret_looking_fields_are_secret(self) -> None:
        """A field that is named like a secret has a type that hides its value."""
        for slug, block_class in self.usable_blocks():
            for name, field in block_class.model_fields.items():
                if _SECRET_FIELD.search(name.lower()):
                    text = str(field.annotation)
                    assert "Secret" in text, f"{slug}.{name} is {text}; make it a SecretStr or a SecretDict."

    def test_secrets_are_never_rendered(self) -> None:
        """The values of an example's secrets are in no text that a log or a page could show."""
        for slug, block_class in self.usable_blocks():
            block = self.example(slug, block_class)
            rendered = f"{block!r} {block} {block.model_dump_json()} {block.model_dump()}"
            for value in _secrets_in(block):
                assert value not in rendered, f"The example of {slug} shows one of its secrets."

    def test_blocks_survive_saving_and_loading(self) -> None:
        """A block that is saved and loaded by another process's means is the block that it was."""
        for slug, block_class in self.usable_blocks():
            block = self.example(slug, block_class)
            block.save("contract-example", overwrite=True)
            loaded = block_class.load("contract-example")
            assert _comparable(loaded) == _comparable(block), f"{slug} changes when it is saved and loaded."

    # --- the distribution ----------------------------------------------------------------------------------------

    def test_readme_lists_the_offers(self) -> None:
        """The table in the README is the one that the offers make."""
        readme = (self.root / "README.md").read_text(encoding="utf-8")
        expected = readme_table(self.record)
        assert README_START in readme, f"Put this into README.md:\n{README_START}\n{expected}\n{README_END}"
        found = readme.partition(README_START)[2].partition(README_END)[0].strip()
        assert found == expected, f"README.md is out of step with the offers. It should say:\n{expected}"

    def test_changelog_names_the_version(self) -> None:
        """CHANGELOG.md has a section for the version that pyproject.toml states."""
        changelog = (self.root / "CHANGELOG.md").read_text(encoding="utf-8")
        assert self.candidate.version in changelog, f"CHANGELOG.md does not mention {self.candidate.version}."

    def test_package_is_typed(self) -> None:
        """The package carries `py.typed`, so that its annotations count."""
        spec = modules.spec_of(self.package)
        assert spec is not None
        assert any((Path(folder) / "py.typed").is_file() for folder in spec.submodule_search_locations or ()), (
            f"Add an empty file py.typed to {self.package}."
        )

    def test_requirements_have_honest_bounds(self) -> None:
        """headrace is required with a lower bound that is a released version, and what is installed fits every bound.

        Whether the bounds install together is shown by a test run in an environment made with `--resolution
        lowest-direct`; this checks what can be known without a package index.
        """
        details = discovery.details(self.candidate)
        assert details is not None, f"{self.candidate.folder} has no METADATA; install the plugin again."
        requirements = [Requirement(text) for text in details.requires]
        core = [requirement for requirement in requirements if requirement.name.lower() == "headrace"]
        assert core, "pyproject.toml must require headrace with a lower bound."
        for requirement in requirements:
            lower = [Version(clause.version) for clause in requirement.specifier if clause.operator in (">=", "==", "~=")]
            assert lower, f"The requirement {requirement} has no lower bound."
            installed = discovery.installed_version(requirement.name)
            if installed is None:
                continue
            assert requirement.specifier.contains(installed, prereleases=True), (
                f"{requirement.name} {installed} is installed, and {requirement} does not allow it."
            )
            if requirement in core:
                assert max(lower) <= Version(installed), f"headrace {max(lower)} has not been released."


def _definitions(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public classes and callables that a module defines, made ones such as `Model[int]` left out."""
    for name, value in vars(module).items():
        is_public = name.isidentifier() and not name.startswith("_")
        if is_public and callable(value) and getattr(value, "__module__", None) == module.__name__:
            yield name, value


def _has_docstring(value: Any) -> bool:
    own = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
    return bool((own or "").strip())


def _secrets_in(block: Block) -> Iterator[str]:
    for name in type(block).model_fields:
        yield from _secret_values(getattr(block, name))


def _secret_values(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, Block):
        yield from _secrets_in(value)
    elif hasattr(value, "get_secret_value"):
        inner: Any = value.get_secret_value()
        parts: list[Any] = list(inner.values()) if isinstance(inner, dict) else [inner]  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]  # a foreign schema
        yield from (str(part) for part in parts)


def _comparable(block: Block) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Block):
            return _comparable(value)
        return value.get_secret_value() if hasattr(value, "get_secret_value") else value

    return {name: plain(getattr(block, name)) for name in type(block).model_fields}
