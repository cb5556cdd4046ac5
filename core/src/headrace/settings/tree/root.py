"""The root of the tree: what concerns every part of the product, and the groups."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.settings.declaration import Group, group, setting
from headrace.settings.tree.author import (
    APISettings,
    ClientSettings,
    CLISettings,
    DeploymentsSettings,
    EventsSettings,
    ExperimentsSettings,
    FlowsSettings,
    InternalSettings,
    LoggingSettings,
    PluginsSettings,
    ResultsSettings,
    TasksSettings,
    TelemetrySettings,
    TestingSettings,
)
from headrace.settings.tree.infrastructure import RunnerSettings, WorkerSettings
from headrace.settings.tree.server import ServerSettings

if TYPE_CHECKING:
    from typing import Self

    from headrace.settings.legacy import Changes, Setting


def _home(root: Any) -> Path:
    from headrace.model.errors import ConfigurationError

    try:
        return Path.home() / ".headrace"
    except RuntimeError:
        raise ConfigurationError("This user has no home directory, so there is no place for headrace's files. Set HEADRACE_HOME.") from None


class Settings(Group):
    """All settings. Made from every source; groups and values are computed when they are first read."""

    home: Path = setting(help="Folder of the profiles, the local database and local results.", compute=_home, shown="`~/.headrace`")
    profiles_path: Path = setting(
        help="File with the profiles.",
        compute=lambda root: root.home / "profiles.toml",
        shown="`$HEADRACE_HOME/profiles.toml`",
    )
    debug_mode: bool = setting(False, "Log and check more.")
    ui_url: str | None = setting(
        None,
        "Address of the user interface, for links.",
        compute=lambda root: root.api.url.rstrip("/").removesuffix("/api") if root.api.url else None,
        shown="`HEADRACE_API_URL` without `/api`",
    )
    silence_api_url_misconfiguration: bool = setting(False, "Do not warn of an API address that looks wrong.")

    api: APISettings = group(APISettings)
    cli: CLISettings = group(CLISettings)
    client: ClientSettings = group(ClientSettings)
    deployments: DeploymentsSettings = group(DeploymentsSettings)
    events: EventsSettings = group(EventsSettings)
    experiments: ExperimentsSettings = group(ExperimentsSettings)
    flows: FlowsSettings = group(FlowsSettings)
    internal: InternalSettings = group(InternalSettings)
    logging: LoggingSettings = group(LoggingSettings)
    plugins: PluginsSettings = group(PluginsSettings)
    results: ResultsSettings = group(ResultsSettings)
    runner: RunnerSettings = group(RunnerSettings)
    server: ServerSettings = group(ServerSettings)
    tasks: TasksSettings = group(TasksSettings)
    telemetry: TelemetrySettings = group(TelemetrySettings)
    testing: TestingSettings = group(TestingSettings)
    worker: WorkerSettings = group(WorkerSettings)

    def logging_overrides(self) -> dict[str, str]:
        """Return the variables that replace keys of the logging configuration, without `HEADRACE_LOGGING_`."""
        prefix = "HEADRACE_LOGGING_"
        free = self.state.free_texts()
        return {name.removeprefix(prefix): value for name, value in free.items() if name.startswith(prefix)}

    def copy_with_update(
        self,
        updates: Changes | None = None,
        set_defaults: Changes | None = None,
        restore_defaults: Iterable[Setting | str] | None = None,
    ) -> Self:
        """Return a changed copy.

        `updates` win over what is set, `set_defaults` count only where nothing is set, `restore_defaults` are set no
        longer. Keys are settings (`HEADRACE_API_URL`), their variables, or dotted paths. Raises `InvalidSettingError`.
        """
        from headrace.settings.update import updated

        return self.over(updated(self.state, updates or {}, set_defaults or {}, restore_defaults or ()))


def canonical_environment_prefix(settings: Group) -> str:
    """Return what the variables of a group begin with: `HEADRACE_API_`."""
    path = type(settings).settings_path
    return f"HEADRACE_{path.upper().replace('.', '_')}_" if path else "HEADRACE_"
