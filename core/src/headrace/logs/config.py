"""Configuring `logging` once per process: the default by hand (quick), a file or variables of the user's through `dictConfig`.

A console handler that the program put on the root logger before the first run is respected: ours is then left out.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from string import Template
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from headrace.logs import format as log_format
from headrace.logs.console import HeadraceConsoleHandler
from headrace.logs.format import HeadraceFormatter
from headrace.logs.handlers import APILogHandler
from headrace.logs.names import FLOW_RUNS_NAME, ROOT_NAME, TASK_RUNS_NAME
from headrace.model.errors import ConfigurationError, near
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.settings import Settings

EXTRA_NAME = f"{ROOT_NAME}.extra"
_API_LOGGERS = (FLOW_RUNS_NAME, TASK_RUNS_NAME, EXTRA_NAME)

Config = dict[str, Any]

_lock = Lock()
_config: Config | None = None


def setup() -> None:
    """Configure logging if this process has not done so. Costs nothing afterwards."""
    if _config is None:
        with _lock:
            if _config is None:
                configure(incremental=False)


def configure(incremental: bool | None = None) -> Config:
    """Configure logging now, and return the configuration used.

    `incremental` changes the levels alone, as `logging.config.dictConfig` describes; None means "if configured before".
    Raises `ConfigurationError` for a configuration that cannot be used.
    """
    global _config
    settings = get_current_settings()
    only_levels = _config is not None if incremental is None else incremental
    path = settings.logging.config_path
    overrides = settings.logging_overrides()
    if path.is_file() or overrides or only_levels:
        config = load_config(path)
        config["incremental"] = only_levels
        _apply(config, own_file=path.is_file())
    else:
        config = default_config(settings)
        _install_default(settings)
    _attach_extra(settings)
    _config = config
    return config


# --- the configuration as data ---------------------------------------------------------------------------------------


def default_config(settings: Settings) -> Config:
    """Return the configuration that holds where the user says nothing else."""
    level = settings.logging.level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "simple": {"format": "%(asctime)s.%(msecs)03d | %(message)s", "datefmt": log_format.CLOCK},
            "standard": {
                "()": f"{log_format.__name__}.HeadraceFormatter",
                "format": log_format.STANDARD,
                "flow_run_fmt": log_format.FLOW_RUN,
                "task_run_fmt": log_format.TASK_RUN,
                "datefmt": log_format.CLOCK,
            },
            "json": {"()": f"{log_format.__name__}.JsonFormatter", "fmt": "default"},
        },
        "handlers": {
            "console": {
                "class": f"{HeadraceConsoleHandler.__module__}.HeadraceConsoleHandler",
                "level": 0,
                "formatter": "standard",
            },
            "api": {"class": f"{APILogHandler.__module__}.APILogHandler", "level": 0},
        },
        "loggers": {
            ROOT_NAME: {"level": level},
            EXTRA_NAME: {"level": level, "handlers": ["api"]},
            FLOW_RUNS_NAME: {"level": "NOTSET", "handlers": ["api"]},
            TASK_RUNS_NAME: {"level": "NOTSET", "handlers": ["api"]},
        },
        "root": {"level": "WARNING", "handlers": ["console"]},
    }


def load_config(path: Path) -> Config:
    """Return the configuration of the file at `path` (the default where there is none) with the user's variables applied.

    `${HEADRACE_…}` in the file stands for a setting. A variable `HEADRACE_LOGGING_LOGGERS_HEADRACE_LEVEL` replaces
    the key `level` under `loggers`, `headrace`; lists are comma-separated. Warns of a variable that names no key.
    Raises `ConfigurationError` for a file that cannot be read.
    """
    settings = get_current_settings()
    config = _read(path, settings) if path.is_file() else default_config(settings)
    leaves = dict(_leaves(config))
    for name, text in settings.logging_overrides().items():
        found = leaves.get(name.upper())
        if found is None:
            warnings.warn(
                f"HEADRACE_LOGGING_{name} names no setting and no key of the logging configuration. {near(name, leaves)}".rstrip(),
                stacklevel=2,
            )
            continue
        holder, key = found
        holder[key] = [part.strip() for part in text.split(",")] if isinstance(holder[key], list) else text
    return config


def _leaves(config: Config, prefix: str = "") -> list[tuple[str, tuple[Config, str]]]:
    """Return every value of a nested configuration by the name that a variable spells it with."""
    found: list[tuple[str, tuple[Config, str]]] = []
    for key, value in config.items():
        name = prefix + str(key).upper().replace(".", "_").replace("-", "_")
        if isinstance(value, dict):
            found += _leaves(cast("Config", value), f"{name}_")
        else:
            found.append((name, (config, key)))
    return found


def _read(path: Path, settings: Settings) -> Config:
    import yaml

    try:
        text = Template(path.read_text(encoding="utf-8")).safe_substitute(settings.to_environment_variables())
        config = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The logging configuration {str(path)!r} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ConfigurationError(f"The logging configuration {str(path)!r} must be a mapping, as `logging.config.dictConfig` takes.")
    return cast("Config", config)


# --- putting it in force ------------------------------------------------------------------------------------------------


def _apply(config: Config, own_file: bool) -> None:
    from logging.config import dictConfig

    kept = [] if own_file else _foreign_handlers()
    if not own_file and _has_console(kept):
        config["root"]["handlers"] = []
    try:
        dictConfig(config)
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        reason = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise ConfigurationError(f"The logging configuration cannot be used: {reason}") from error
    for handler in kept:
        logging.root.addHandler(handler)


def _install_default(settings: Settings) -> None:
    """Do what `dictConfig(default_config(settings))` does, without importing `logging.config` (sockets, pickle, queues)."""
    formatter = HeadraceFormatter(log_format.STANDARD, log_format.CLOCK, flow_run_fmt=log_format.FLOW_RUN, task_run_fmt=log_format.TASK_RUN)
    console = HeadraceConsoleHandler()
    console.name = "console"
    console.setFormatter(formatter)
    api = APILogHandler()
    api.name = "api"
    for name in (ROOT_NAME, *_API_LOGGERS):
        logger = logging.getLogger(name)
        logger.setLevel(settings.logging.level if name in (ROOT_NAME, EXTRA_NAME) else logging.NOTSET)
        logger.handlers[:] = [api] if name in _API_LOGGERS else []
    foreign = _foreign_handlers()
    logging.root.handlers[:] = foreign if _has_console(foreign) else [*foreign, console]


def _foreign_handlers() -> list[logging.Handler]:
    return [handler for handler in logging.root.handlers if not isinstance(handler, HeadraceConsoleHandler)]


def _has_console(handlers: list[logging.Handler]) -> bool:
    terminals = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(
        isinstance(handler, logging.StreamHandler) and handler.level <= logging.INFO and handler.stream in terminals  # pyright: ignore[reportUnknownMemberType]  # generic in its stream
        for handler in handlers
    )


def _attach_extra(settings: Settings) -> None:
    """Let the loggers that `logging.extra_loggers` names record into the runs that they are used in."""
    names = settings.logging.extra_loggers
    if not names:
        return
    extra = logging.getLogger(EXTRA_NAME)
    for name in [names] if isinstance(names, str) else names:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(extra.level)
        for handler in extra.handlers:
            if handler not in logger.handlers:
                logger.addHandler(handler)
