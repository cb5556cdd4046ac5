"""Where the runner finds dbt's files, and how much it logs; taken from the `DBT_…` variables of the environment unless given."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from inspect import isawaitable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.settings import get_current_settings
from headrace.utilities.asyncutils import run_coro_as_sync
from headrace.utilities.templating import PlaceholderType, find_placeholders, resolve_block_document_references, resolve_variables
from headrace_dbt.sdk import EventLevel
from headrace_dbt.utilities import env_var_call, find_profiles_dir, read_profiles

_LEVELS = {"critical": "error", "warning": "warn", "notset": "debug", "none": "error"}


def _level_of_headrace() -> EventLevel:
    name = get_current_settings().logging.level.lower()
    name = _LEVELS.get(name, name)
    return EventLevel(name) if name in {level.value for level in EventLevel} else EventLevel.INFO  # a level of the user's own


class HeadraceDbtSettings(BaseSettings):
    """The settings of dbt that the runner itself must know.

    Each comes from the field, else from its variable (`DBT_PROFILES_DIR`, `DBT_PROJECT_DIR`, `DBT_LOG_LEVEL`, `DBT_TARGET_PATH`), else it has
    dbt's default. All others are set as usual with dbt: in dbt_project.yml, by variables, or by arguments of `invoke`.
    """

    model_config = SettingsConfigDict(env_prefix="DBT_", extra="ignore", validate_default=True)

    profiles_dir: Path = Field(default_factory=find_profiles_dir, description="Directory of profiles.yml; default: this one or ~/.dbt.")
    project_dir: Path = Field(default_factory=Path.cwd, description="Directory of dbt_project.yml; default: the current one.")
    log_level: EventLevel = Field(default_factory=_level_of_headrace, description="Least severe level that is logged; default: that of headrace.")
    target_path: Path = Field(default=Path("target"), description="Where dbt writes artifacts, relative to the project.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return _LEVELS.get(value.lower(), value.lower()) if isinstance(value, str) and not isinstance(value, EventLevel) else value

    def validate_for_orchestrator(self) -> None:
        """Check that both directories are there and hold their files. Raises `ValueError` that names what is missing."""
        for name, folder, file in (("profiles_dir", self.profiles_dir, "profiles.yml"), ("project_dir", self.project_dir, "dbt_project.yml")):
            if not folder.is_dir():
                raise ValueError(f"{name} {str(folder)!r} does not exist.")
            if not (folder / file).is_file():
                raise ValueError(f"There is no {file} in {name} {str(folder)!r}.")

    def load_profiles_yml(self) -> dict[str, Any]:
        """Return the contents of profiles.yml, placeholders and Jinja as they stand. Raises `ValueError` when there is no such file."""
        return read_profiles(self.profiles_dir)

    @property
    def has_placeholders(self) -> bool:
        """Whether profiles.yml refers to blocks or variables of headrace. False without such a file: dbt says so where it needs one."""
        try:
            content = self.load_profiles_yml()
        except ValueError:
            return False
        return any(one.type in (PlaceholderType.BLOCK_DOCUMENT, PlaceholderType.VARIABLE) for one in find_placeholders(content))

    @contextlib.contextmanager
    def resolve_profiles_yml(self) -> Generator[str, None, None]:
        """Give a temporary directory with a profiles.yml in which blocks and variables of headrace are resolved; remove it afterwards.

        Values of blocks are handed to dbt by variables of the environment, which last as long as the directory, so none is on disk.

            with settings.resolve_profiles_yml() as folder:
                dbtRunner().invoke(["run", "--profiles-dir", folder])

        Raises `ValueError` when there is no such file, or when it names a block or a field that does not exist.
        """
        import yaml

        variables: dict[str, str] = {}

        def transformed(placeholder: str, value: Any) -> Any:
            if isinstance(value, dict):
                return {key: transformed(f"{placeholder} {key}", item) for key, item in value.items()}
            if isinstance(value, list):
                return [transformed(f"{placeholder} {number}", item) for number, item in enumerate(value)]
            if value is None:
                return None
            name, text, call = env_var_call(placeholder, value)
            variables[name] = text
            return call

        content = _settled(resolve_block_document_references(self.load_profiles_yml(), value_transformer=transformed))
        content = _settled(resolve_variables(content))
        with tempfile.TemporaryDirectory(prefix="headrace-dbt-") as folder, _environment(variables):
            (Path(folder) / "profiles.yml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
            yield folder


def _settled(value: Any) -> Any:
    return run_coro_as_sync(value) if isawaitable(value) else value


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Generator[None, None, None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
