"""What all configs have in common, and the two that need no other service: target configs of any adapter, and global configs."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from headrace.blocks.core import Block, UnknownBlockType
from headrace.blocks.fields import SecretDict
from headrace.exceptions import HeadraceException
from headrace_dbt.utilities import find_profiles_dir, read_profiles

_OWN_FIELDS = ("extras", "allow_field_overrides")


class MissingExtrasRequireError(ImportError):
    """A block is needed whose plugin is not installed."""


def in_clear(value: Any) -> Any:
    """Return a value as dbt needs it: secrets in clear, paths and choices as text."""
    if hasattr(value, "get_secret_value"):
        return in_clear(value.get_secret_value())
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "value", value)  # an enum


def credentials_from(value: Any) -> Any:
    """Make of what a field is given the block that it means: a saved block of another plugin, its values, or else a plain mapping."""
    if not isinstance(value, Mapping):
        return value
    values = dict(cast("Mapping[str, Any]", value))
    if set(values) == {"$ref"}:
        return Block.load_from_ref(values["$ref"])
    slug = values.get("block_type_slug")
    if slug is None:
        return SecretDict(values)
    try:
        found = Block.get_block_class_from_key(slug)
    except UnknownBlockType as error:
        raise MissingExtrasRequireError(f"These credentials are a block of type {slug!r}, whose plugin is not installed here. {error}") from error
    except HeadraceException as error:
        raise MissingExtrasRequireError(f"These credentials are a block of type {slug!r}, which cannot be used here: {error}") from error
    return found.model_validate(values)


OtherBlock = Annotated[Block | SecretDict, BeforeValidator(credentials_from)]
"""A block of another plugin, or a mapping of the same values. The other plugin is not imported: its fields are read by name."""


class DbtConfigs(Block, ABC):
    """What configs of dbt have in common: fields, and extras for what has no field."""

    _is_interface: ClassVar[bool] = True

    extras: SecretDict | None = Field(
        default=None,
        description="Keywords of dbt that have no field here. A keyword that is a field, too, is an error unless overrides are allowed.",
    )
    allow_field_overrides: bool = Field(default=False, description="Let fields win over extras and credentials of the same name.")

    def get_configs(self) -> dict[str, Any]:
        """Return the configs as they stand in profiles.yml, secrets in clear; what is not set is left out.

        Raises `ValueError` when a name is given twice and `allow_field_overrides` is not set.
        """
        return self._merged(self._own_configs(), {})

    def _own_configs(self) -> dict[str, Any]:
        fields = type(self).model_fields
        values = {fields[name].alias or name: getattr(self, name) for name in fields if name not in _OWN_FIELDS}
        return {name: in_clear(value) for name, value in values.items() if value is not None and not isinstance(value, Block | SecretDict)}

    def _merged(self, own: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        """Return the fields, what was found in the credentials, and the extras as one; what the credentials leave open is left out."""
        given = {name: in_clear(value) for name, value in found.items() if value is not None}
        extras = in_clear(self.extras) or {}
        twice = sorted((own.keys() & given.keys()) | (own.keys() & extras.keys()) | (given.keys() & extras.keys()))
        differing = [name for name in twice if len({repr(part[name]) for part in (own, given, extras) if name in part}) > 1]
        if differing and not self.allow_field_overrides:
            raise ValueError(
                f"{', '.join(map(repr, differing))} is given more than once to {type(self).__name__}: as a field, by the credentials or in extras. "
                "Give it once, or set allow_field_overrides=True to let the fields win."
            )
        return {**own, **extras, **given, **own}


class BaseTargetConfigs(DbtConfigs, ABC):
    """What target configs of every adapter have: the adapter's name, the schema and the threads."""

    _is_interface: ClassVar[bool] = True

    type: str = Field(description="The name of the database warehouse: the adapter that dbt uses.")
    schema_: str = Field(alias="schema", description="The schema that dbt will build objects into; in BigQuery, a schema is a dataset.")
    threads: int = Field(default=4, description="How many paths through the graph dbt may work on at once.")

    @model_validator(mode="before")
    @classmethod
    def handle_target_configs(cls, v: Any) -> Any:
        """Take the schema by either of its names, `schema` and `schema_`."""
        if isinstance(v, dict) and "schema_" in v:
            values = dict(cast("dict[str, Any]", v))
            name = values.pop("schema_")
            return {"schema": name, **values}
        return cast("Any", v)


class TargetConfigs(BaseTargetConfigs):
    """Where dbt builds, and how it logs in there, for any adapter.

    Which keys an adapter knows stands on its page of dbt's documentation; what has no field here goes into `extras`, which are kept secret.

    Example:
        ```python
        from headrace_dbt.cli.configs import TargetConfigs

        target_configs = TargetConfigs.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "dbt CLI Target Configs"
    _block_type_slug = "dbt-cli-target-configs"

    @classmethod
    def from_profiles_yml(
        cls,
        profile_name: str | None = None,
        target_name: str | None = None,
        profiles_dir: str | None = None,
        allow_field_overrides: bool = False,
    ) -> Self:
        """Return the configs of a target in profiles.yml.

        `profile_name`: default the first one in the file. `target_name`: default the one that the profile names as `target`. `profiles_dir`:
        default `DBT_PROFILES_DIR`, else this directory if profiles.yml is in it, else `~/.dbt`. Jinja in the file stays as it is.
        Raises `ValueError` when the file, the profile, the target, or its type or schema is missing.
        """
        folder = Path(profiles_dir) if profiles_dir else find_profiles_dir()
        profiles = {name: value for name, value in read_profiles(folder).items() if name != "config"}
        file = folder / "profiles.yml"
        if not profiles:
            raise ValueError(f"There are no profiles in {file}.")
        profile_name = profile_name or next(iter(profiles))
        profile = _chosen(profiles, profile_name, f"profile in {file}")
        targets: dict[str, Any] = profile.get("outputs") or {}
        target_name = target_name or profile.get("target")
        if target_name is None:
            raise ValueError(f"Profile {profile_name!r} in {file} names no target. Give target_name: {', '.join(targets) or 'it has none'}.")
        values = dict(_chosen(targets, target_name, f"target of profile {profile_name!r} in {file}"))
        if "dataset" in values:
            values.setdefault("schema", values.pop("dataset"))
        missing = [name for name in ("type", "schema") if not values.get(name)]
        if missing:
            raise ValueError(f"Target {target_name!r} of profile {profile_name!r} in {file} has no {' and no '.join(missing)}.")
        fields: dict[str, Any] = {name: values.pop(name) for name in ("type", "schema", "threads") if name in values}
        return cls(**fields, extras=SecretDict(values) if values else None, allow_field_overrides=allow_field_overrides)


def _chosen(choices: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    found = choices.get(name)
    if not isinstance(found, dict):
        raise ValueError(  # noqa: TRY004  # the file is wrong, not the code
            f"There is no {what} called {name!r}; there is {', '.join(choices) or 'none'}."
        )
    return cast("dict[str, Any]", found)


class GlobalConfigs(DbtConfigs):
    """How dbt prints, parses and fails: the `config` of a profile. What is not set is left to dbt.

    Example:
        ```python
        from headrace_dbt.cli.configs import GlobalConfigs

        global_configs = GlobalConfigs.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "dbt CLI Global Configs"
    _block_type_slug = "dbt-cli-global-configs"

    send_anonymous_usage_stats: bool | None = Field(default=None, description="Whether usage stats are sent to dbt.")
    use_colors: bool | None = Field(default=None, description="Colorize the output it prints in your terminal.")
    partial_parse: bool | None = Field(default=None, description="Parse only files that changed since the last run.")
    printer_width: int | None = Field(default=None, description="Length of characters before starting a new line.")
    write_json: bool | None = Field(default=None, description="Whether dbt writes JSON artifacts to the target/ directory.")
    warn_error: bool | None = Field(default=None, description="Whether to convert dbt warnings into errors.")
    log_format: str | None = Field(default=None, description="How dbt's logs are formatted; with `json`, fully structured.")
    debug: bool | None = Field(default=None, description="Whether to redirect dbt's debug logs to standard out.")
    version_check: bool | None = Field(default=None, description="Whether to fail when the project does not fit dbt's version.")
    fail_fast: bool | None = Field(default=None, description="Make dbt exit immediately if a single resource fails to build.")
    use_experimental_parser: bool | None = Field(default=None, description="Opt into the latest experimental version of the static parser.")
    static_parser: bool | None = Field(default=None, description="Whether to use the static parser.")
