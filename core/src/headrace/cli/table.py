"""Which commands there are: name, where it is, what it does. Data alone, so that listing commands imports none of them."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A line of the table. `target` is "module:attribute" below `headrace.cli`."""

    target: str
    help: str
    aliases: tuple[str, ...] = ()


COMMANDS = {
    "api": Command("api:command", "Send a request to the server, as it is."),
    "artifact": Command("artifact:group", "Look at artifacts of runs and delete them.", ("artifacts",)),
    "automation": Command("automation:group", "Have the server do something when something happens.", ("automations",)),
    "block": Command("block:group", "Register, look at and delete blocks and block types.", ("blocks",)),
    "completion": Command("completion:command", "Print the script that completes commands in your shell."),
    "concurrency-limit": Command("concurrency_limit:group", "Limit how many tasks with a tag run at once.", ("concurrency-limits",)),
    "config": Command("config:group", "View and change settings."),
    "deploy": Command("deploy:command", "Make deployments of flows, as the project file and options say."),
    "deployment": Command("deployments.commands:group", "Look at deployments, run, schedule, pause and delete them.", ("deployments",)),
    "event": Command("event:group", "See events as they happen, and emit them.", ("events",)),
    "flow": Command("flow:group", "Look at flows, and serve them.", ("flows",)),
    "flow-run": Command("flow_run:group", "Look at flow runs, watch, cancel, retry and delete them.", ("flow-runs",)),
    "global-concurrency-limit": Command(
        "global_concurrency_limit:group", "Limit what uses a name at once, anywhere.", ("global-concurrency-limits", "gcl")
    ),
    "init": Command("init:command", "Begin a project: write a project file."),
    "plan": Command("plan:command", "Tell what deploying would change."),
    "plugins": Command("plugins:group", "Look at plugins, find out what is wrong with them, and write them.", ("plugin",)),
    "profile": Command("profile:group", "Select and manage profiles.", ("profiles",)),
    "run": Command("run:command", "Run a flow here, now."),
    "sdk": Command("sdk:group", "Generate typed Python for calling deployments."),
    "server": Command("server:group", "Run the server, look at it and stop it."),
    "shell": Command("shell:group", "Run shell commands as flows."),
    "task": Command("task:group", "Run background runs of tasks."),
    "task-run": Command("task_run:group", "Look at task runs.", ("task-runs",)),
    "variable": Command("variable:group", "Get, set and delete variables.", ("variables",)),
    "why": Command("why:command", "Tell why a run does not run, and what would free it."),
    "version": Command("version:command", "Show the versions of headrace and of what it stands on."),
    "work-pool": Command("work_pool:group", "Create, change and look at work pools.", ("work-pools",)),
    "work-queue": Command("work_queue:group", "Create, change and look at work queues.", ("work-queues",)),
    "worker": Command("worker:group", "Start workers.", ("workers",)),
    "experimental": Command("experimental:group", "The commands of `plugins` under their documented, older name."),
}

ALIASES = {alias: name for name, command in COMMANDS.items() for alias in command.aliases}
