"""`headrace plugins`: what is installed, what it offers, what is wrong with it, and how to write one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.plugin.offers import Kind

if TYPE_CHECKING:
    from headrace.plugin.offers import PluginRecord
    from headrace.plugin.registry import Registry

_kinds = click.Choice([kind.value for kind in Kind])


@click.group("plugins", cls=Group)
def group() -> None:
    """Look at plugins, find out what is wrong with them, and write them."""


@group.command("list")
@click.option("--kind", type=_kinds, default=None, help="List what is offered of this kind instead of plugins.")
@output_option
def list_plugins(kind: str | None, output: str | None) -> None:
    """List the installed plugins. Nothing of what they offer is imported."""
    records = _registry().records()
    if kind is not None:
        chosen = Kind(kind)
        data = [
            {"name": o.name, "kind": kind, "plugin": r.name, "state": r.state.value, "target": o.target, "summary": o.summary}
            for r in records
            for o in r.offers.get(chosen, ())
        ]
        rows = [(one["name"], one["plugin"], one["state"], one["summary"]) for one in data]
        emit(data, output, (("name", "plugin", "state", "what it is"), rows))
        return
    rows = [(r.name, f"{r.distribution} {r.version}".strip(), r.state.value, _counts(r)) for r in records]
    emit([_data(record) for record in records], output, (("name", "distribution", "state", "offers"), rows))


@group.command()
@click.argument("name")
@click.option("--readme", is_flag=True, help="Print the table of offers for the plugin's README.")
@click.option("--schemas", is_flag=True, help="Import its blocks and print their schemas, for the contract's snapshot.")
@output_option
def inspect(name: str, readme: bool, schemas: bool, output: str | None) -> None:
    """Show all that is known of the plugin NAME."""
    from headrace.plugin.listing import block_schemas, readme_table

    registry = _registry()
    (record, *_) = _select(registry, name)
    if readme:
        click.echo(readme_table(record))
        return
    if schemas:
        from headrace.model.errors import PluginError

        try:
            classes: dict[str, Any] = {offer.name: registry.resolve(Kind.BLOCK, offer.name) for offer in record.offers.get(Kind.BLOCK, ())}
        except PluginError as error:
            fail(str(error))
        click.echo(json.dumps(block_schemas(classes), indent=1))
        return
    data = _data(record)
    if output is None:
        _describe(record)
        return
    emit(data, output)


@group.command()
@click.argument("name", required=False)
@click.option("--probe", is_flag=True, help="Import all that is offered, each plugin in a process of its own.")
@output_option
def doctor(name: str | None, probe: bool, output: str | None) -> None:
    """Explain every plugin that is not in order, and how to mend it; the exit code is 1 if one cannot be used."""
    from headrace.plugin import doctor as surgery

    registry = _registry()
    records = _select(registry, name)
    findings = surgery.examine(registry, name, probe)
    data = [{"plugin": f.plugin, "level": f.level.value, "text": f.text, "remedy": f.remedy, "traceback": f.traceback} for f in findings]
    if output is not None:
        emit(data, output)
    else:
        for finding in findings:
            click.echo(f"{finding.level.value.upper()} {finding.plugin}: {finding.text}")
            if finding.remedy:
                click.echo(f"  What to do: {finding.remedy}")
            if finding.traceback:
                click.echo("".join(f"    {line}\n" for line in finding.traceback.splitlines()), nl=False)
        if not findings:
            click.echo(f"{len(records)} plugin{'s' if len(records) != 1 else ''} looked at, nothing to mend.")
    if any(finding.level is surgery.Level.ERROR for finding in findings):
        raise click.exceptions.Exit(1)


@group.command()
@click.argument("kind", type=_kinds)
@click.argument("name")
@output_option
def why(kind: str, name: str, output: str | None) -> None:
    """Say who provides the KIND called NAME, and if it cannot be used, why; the exit code is then 1."""
    from headrace.plugin import doctor as surgery

    reason = surgery.why(_registry(), Kind(kind), name)
    provider = reason.provider
    if output is None:
        click.echo(reason.text)
    else:
        emit(
            {
                "name": name,
                "kind": kind,
                "usable": reason.is_usable,
                "text": reason.text,
                "plugin": provider.name if provider else None,
                "distribution": provider.distribution if provider else None,
                "target": reason.offer.target if reason.offer else None,
            },
            output,
        )
    if not reason.is_usable:
        raise click.exceptions.Exit(1)


@group.command()
@click.argument("name")
@click.option("--kind", "kinds", type=_kinds, multiple=True, help="What it offers first; may be given several times.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where the new folder is made.")
@output_option
def new(name: str, kinds: tuple[str, ...], directory: Path, output: str | None) -> None:
    """Write a complete plugin package called NAME: code, tests, README and pyproject.toml."""
    from headrace.model.errors import PluginError
    from headrace.plugin import scaffold

    try:
        folder = scaffold.create(name, directory, [Kind(kind) for kind in kinds] or [Kind.BLOCK])
    except PluginError as error:
        fail(str(error))
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if output is not None:
        emit({"name": folder.name, "folder": str(folder), "files": files}, output)
        return
    click.echo(f"Wrote {folder} with {len(files)} files. Next:\n\n  cd {folder}\n  pip install -e '.[test]'\n  pytest")


@group.command()
@output_option
def diagnose(output: str | None) -> None:
    """Show the settings for plugins, what was found, and run the startup hooks once to show what they do."""
    from dataclasses import replace

    from headrace.plugin import startup
    from headrace.plugin.registry import Registry

    policy = _registry().policy
    registry = Registry(replace(policy, strict=False))  # strict mode would end this before it could show anything
    settings: dict[str, Any] = {
        "enabled": policy.enabled,
        "timeout_seconds": policy.setup_timeout_seconds,
        "strict": policy.strict,
        "safe_mode": policy.safe_mode,
        "allow": None if policy.allow is None else sorted(policy.allow),
        "deny": sorted(policy.deny) or None,
    }
    records = [record for record in registry.records() if not record.is_builtin]
    summaries = startup.run_startup_hooks(startup.context(), registry)
    hooks: list[dict[str, Any]] = [
        {
            "plugin": one.plugin,
            "result": one.state.value,
            "env": dict(one.env_preview),
            "note": one.note,
            "error": one.error,
            "expires_at": one.expires_at,
        }
        for one in summaries
    ]
    if output is not None:
        emit({"settings": settings, "plugins": [_data(record) for record in records], "startup_hooks": hooks}, output)
        return
    click.echo("headrace plugin diagnostics\n")
    labels = ("Enabled", "Timeout", "Strict mode", "Safe mode", "Allow list", "Deny list")
    for label, (key, value) in zip(labels, settings.items(), strict=True):
        shown = ", ".join(value) if isinstance(value, list) else f"{value}s" if key == "timeout_seconds" else value  # pyright: ignore[reportUnknownArgumentType]  # a user's value
        click.echo(f"{label}: {shown}")
    click.echo("\nDiscoverable plugins (entry point group: headrace.plugins)")
    for record in records:
        click.echo(f"• {record.name}: {'active' if record.state.value == 'ready' else record.state.value}")
        click.echo(f"    Module: {record.target}\n    API requirement: {record.requires}")
        if record.reason:
            click.echo(f"    {record.reason}")
    click.echo("\nRunning startup hooks" if policy.enabled else "\nStartup hooks are off; set HEADRACE_PLUGINS_ENABLED=1.")
    for hook in hooks:
        click.echo(f"• {hook['plugin']}: {hook['result']}")
        if hook["env"]:
            click.echo(f"    Environment variables: {len(hook['env'])}")
        for name, value in hook["env"].items():
            click.echo(f"      {name}={value}")
        for label, key in (("Note", "note"), ("Error", "error"), ("Expires", "expires_at")):
            if hook[key]:
                click.echo(f"    {label}: {hook[key]}")


def _registry() -> Registry:
    from headrace.plugin.registry import get_registry

    return get_registry()


def _select(registry: Registry, name: str | None) -> tuple[PluginRecord, ...]:
    from headrace.model.errors import PluginNotInstalled
    from headrace.plugin.doctor import select

    try:
        return select(registry, name)
    except PluginNotInstalled as error:
        fail(str(error), "`headrace plugins list` shows what is installed.", 4)


def _counts(record: PluginRecord) -> str:
    return ", ".join(f"{len(offers)} {kind.words}{'s' if len(offers) != 1 else ''}" for kind, offers in record.offers.items())


def _data(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "target": record.target,
        "state": record.state.value,
        "reason": record.reason,
        "remedy": record.remedy,
        "hook_api": record.requires,
        "hooks": list(record.hooks),
        "missing": list(record.missing),
        "notes": list(record.notes),
        "offers": [
            {
                "kind": kind.value,
                "name": offer.name,
                "target": offer.target,
                "summary": offer.summary,
                "modules": list(offer.modules),
                "extra": offer.extra,
                "aliases": list(offer.aliases),
            }
            for kind, offers in record.offers.items()
            for offer in offers
        ],
    }


def _describe(record: PluginRecord) -> None:
    click.echo(f"{record.name}: {record.distribution} {record.version}, {record.state.value}")
    click.echo(f"Module: {record.target}\nHook API: {record.requires}\nHooks: {', '.join(record.hooks) or 'none'}")
    for label, text in (("Why", record.reason), ("What to do", record.remedy)):
        if text:
            click.echo(f"{label}: {text}")
    for note in record.notes:
        click.echo(f"Note: {note}")
    for kind, offers in record.offers.items():
        for offer in offers:
            click.echo(f"- {kind.words} {offer.name}: {offer.summary} ({offer.target})")
