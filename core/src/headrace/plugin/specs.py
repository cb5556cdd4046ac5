"""Every hook that a plugin can implement. The newest change of this file sets `HOOK_API_VERSION` in `offers.py`.

Hooks that return offers must be quick and free of side effects: no SDK import, no network, no reading of the environment,
since headrace keeps their answer until the plugin's files change. All implementations of a hook are called, one by one,
each isolated from the others, unless its text says "first answer wins". An implementation may leave out arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from headrace.plugin.offers import Check, Offer
    from headrace.plugin.startup import DatabaseContext, HookContext, SetupResult

PROJECT = "headrace"
hookspec = pluggy.HookspecMarker(PROJECT)

# Documented names of hooks that have a longer one here.
ALIASES = {
    "setup_environment": "headrace_setup_environment",
    "set_database_connection_params": "headrace_database_connection",
}


@hookspec
def headrace_blocks() -> Iterable[Offer]:
    """Offer block types: subclasses of `headrace.blocks.core.Block`, named by their slug.

    Called at the first question about a block type that is not built in. No register step follows.
    """
    ...


@hookspec
def headrace_workers() -> Iterable[Offer]:
    """Offer workers: subclasses of `headrace.workers.base.BaseWorker`, named by their type.

    Called when a worker is started and when a work pool's base job template is asked for.
    """
    ...


@hookspec
def headrace_task_runners() -> Iterable[Offer]:
    """Offer task runners: subclasses of `headrace.task_runners.TaskRunner`, named by a short word such as `dask`.

    Called when a task runner is named in settings; a flow that imports the class needs no offer.
    """
    ...


@hookspec
def headrace_deployment_steps() -> Iterable[Offer]:
    """Offer steps for the build, push and pull sections of a deployment: callables, named by their dotted path.

    Called when a project file names a step that is not built in.
    """
    ...


@hookspec
def headrace_serializers() -> Iterable[Offer]:
    """Offer result serializers: subclasses of `headrace.serializers.Serializer`, named by their type.

    Called when a result or a setting names a serializer that is not built in.
    """
    ...


@hookspec
def headrace_filesystems() -> Iterable[Offer]:
    """Offer filesystems: subclasses of `headrace.filesystems.ReadableFileSystem` or a sibling, named by their slug.

    Called when result storage or deployment storage is named by its type.
    """
    ...


@hookspec
def headrace_actions() -> Iterable[Offer]:
    """Offer actions of automations: classes, named by the action's type.

    Called by the server when an automation with an unknown action type is stored or performed.
    """
    ...


@hookspec
def headrace_server_backends() -> Iterable[Offer]:
    """Offer parts of the server: message bus, lease store, lock manager; classes or modules, named by what settings say.

    Called once when a server starts whose settings name something else than the built-in backend.
    """
    ...


@hookspec
def headrace_commands() -> Iterable[Offer]:
    """Offer command groups of the `headrace` program: click commands, named by the word that calls them.

    Called when the program is given a word that is not built in, or lists its commands.
    """
    ...


@hookspec
def headrace_setup_environment(context: HookContext, ctx: HookContext) -> SetupResult | None:
    """Prepare the process: fetch credentials, return environment variables. May be `async def`.

    Called once when an engine, worker, server or command *starts* and `plugins.enabled` is on; never by `import headrace`.
    All plugins together have `plugins.setup_timeout_seconds`; what is late is dropped. Variables are set in the order of
    plugin names; when two plugins set one, the last wins and a warning names both. `setup_environment` is the documented
    name of this hook and `ctx` that of its argument.
    """


@hookspec(firstresult=True)
def headrace_database_connection(context: DatabaseContext, connection_url: str, settings: Any) -> Mapping[str, Any] | None:
    """Return arguments for the database driver's `connect`, such as a short-lived token. First answer wins.

    Called before a server or an embedded backend opens its database, when `plugins.enabled` is on. On PostgreSQL a value that
    is a function is called for each connection, so that a token may end soon. An exception is reported and the next plugin
    asked. `set_database_connection_params(connection_url, settings)` is its documented name.
    """


@hookspec
def headrace_diagnose() -> Iterable[Check]:
    """Answer `headrace plugins doctor` with checks of the plugin's own, such as "credentials found".

    Called in the doctor's process, within its time limit; SDKs may be imported here.
    """
    ...
