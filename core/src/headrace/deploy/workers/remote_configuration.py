"""What a remote job is made from: the common configuration, with an environment that tells what is secret, and labels that fit a service's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from pydantic import Field, PrivateAttr, field_validator

from headrace.deploy.workers.configuration import BaseJobConfiguration, BaseVariables
from headrace.objects.secret_texts import is_secret_name

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun

ADDED_PREFIX = "prefect.io/"
"""What the keys of labels begin with that a worker adds; see `run_labels`."""
TOKEN_LABEL = "headrace.job-token"
"""The run's label with the token of its job; it is noted before the job is submitted, and empty when that failed."""
OF_THE_MACHINE = ("HEADRACE_SERVER_DATABASE_", "HEADRACE_HOME", "HEADRACE_PROFILES_PATH")
"""How the settings begin that mean the worker's own machine and stay there: a server's database, its password among them, and folders."""

_SECRET_ENV = (
    "Environment variables that the platform fills from its own secret store: the variable's name, and what the platform calls the secret. "
    "They are in no job's definition in the clear, HEADRACE_API_KEY included if it is named here."
)


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """The environment of a job, by how each variable should reach it."""

    plain: dict[str, str]
    """Variables that hold no secret."""
    secure: dict[str, str]
    """Variables whose names tell of secrets, as HEADRACE_API_KEY: give them by the platform's protected way, where it has one."""
    references: dict[str, str]
    """Variables that the platform takes from its own secret store: the secret's name or address there, never a value."""

    def __repr__(self) -> str:
        return f"JobEnvironment(plain={sorted(self.plain)}, secure={sorted(self.secure)}, references={self.references!r})"


class RemoteJobVariables(BaseVariables):
    """Variables of a base job template for remote jobs."""

    secret_env: dict[str, str] = Field(default_factory=dict, title="Secret Environment Variables", description=_SECRET_ENV)


class RemoteJobConfiguration(BaseJobConfiguration):
    """What a remote job is made from. Subclass it with a field for each thing that can be configured."""

    secret_env: dict[str, str] = Field(default_factory=dict, description=_SECRET_ENV)

    _token: str = PrivateAttr(default="")

    @field_validator("secret_env", mode="before")
    @classmethod
    def _no_secrets(cls, value: Any) -> Any:
        return {} if value is None else value

    def prepare_for_flow_run(self, flow_run: Any, *args: Any, **kwargs: Any) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`; out of `env` go those of `secret_env`, and the worker's own database and folders."""
        configured = set(self.env)
        super().prepare_for_flow_run(flow_run, *args, **kwargs)
        left_out = {name for name in self.env if name.startswith(OF_THE_MACHINE)} - configured | set(self.secret_env)
        self.env = {name: value for name, value in self.env.items() if name not in left_out}
        self._token = token_left_behind(flow_run) or uuid5(flow_run.id, str(flow_run.state_id)).hex

    @property
    def token(self) -> str:
        """32 letters and digits, the same for every try to start this job and for no other: by them a service knows a repeated request."""
        return self._token

    @property
    def environment(self) -> JobEnvironment:
        """The environment, by how each variable should reach the job."""
        given = {name: value for name, value in self.env.items() if value is not None and name not in self.secret_env}
        secure = {name: value for name, value in given.items() if is_secret_name(name)}
        return JobEnvironment({name: value for name, value in given.items() if name not in secure}, secure, dict(self.secret_env))


def token_left_behind(flow_run: FlowRun) -> str | None:
    """Return the token under which a job may run whose worker did not live to note what the service calls it."""
    return str(flow_run.labels.get(TOKEN_LABEL) or "") or None if flow_run.infrastructure_pid is None else None


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What a service allows of labels; `fit` makes any labels such.

    `key_characters` and `value_characters` are the insides of a character class, as `a-z0-9_-`; what is not in it becomes `filler`. Sizes are in
    characters. A key has to begin with a letter when `starts_with_letter`. `count`: how many labels an object may have.
    """

    key_characters: str = "A-Za-z0-9_.-"
    value_characters: str = "A-Za-z0-9_.-"
    key_size: int = 63
    value_size: int = 63
    count: int = 64
    filler: str = "-"
    is_lower: bool = False
    starts_with_letter: bool = True

    def key(self, key: str) -> str:
        """Return a label's key as the service has it: `prefect.io/flow-run-id` may become `prefect-io-flow-run-id`."""
        fit = self._fit(key, self.key_characters, self.key_size)
        return f"x{self.filler}{fit}"[: self.key_size] if self.starts_with_letter and not fit[:1].isalpha() else fit

    def value(self, value: str) -> str:
        """Return a label's value as the service has it."""
        return self._fit(value, self.value_characters, self.value_size)

    def fit(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return labels that the service takes. Where there are too many, those that the worker added go, the last of them first.

        Of two that would have one key the configured one stays, then the first.
        """
        own = [key for key in labels if not key.startswith(ADDED_PREFIX)]
        added = [key for key in labels if key.startswith(ADDED_PREFIX)]
        found: dict[str, str] = {}
        for key in [*own, *added]:
            if len(found) < self.count:
                found.setdefault(self.key(key), self.value(labels[key]))
        return found

    def _fit(self, text: str, characters: str, size: int) -> str:
        text = text.lower() if self.is_lower else text
        return re.sub(f"[^{characters}]+", self.filler, text).strip(self.filler)[:size].rstrip(self.filler)
