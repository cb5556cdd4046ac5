"""The error tree. Nothing heavy is imported here, so every room may raise from it.

HeadraceException
├── results       FailedRun CrashedRun CancelledRun PausedRun UnfinishedRun MissingResult UpstreamTaskError
├── definition    ParameterTypeError ParameterBindError SignatureMismatchError ReservedArgumentError InvalidNameError
├── loading       ScriptError MissingFlowError UnspecifiedFlowError HeadraceImportError
├── mapping       MappingLengthMismatch MappingMissingIterable
├── interface     ObjectNotFound ObjectAlreadyExists ObjectLimitReached ObjectUnsupported
│                 InvalidRequest → InvalidTemplate
│                 HeadraceHTTPStatusError SlotsUnavailable LeaseGone ServerUnreachable ServerVersionMismatch
├── context       MissingContextError MissingProfileError ConfigurationError ProfileSettingsValidationError
├── pausing       NotPausedError FlowPauseTimeout FlowRunWaitTimeout
├── blocks        BlockMissingCapabilities ProtectedBlockError BlockNotSavedError InvalidBlockRegistration UnknownBlockType
├── infrastructure InfrastructureError InfrastructureNotFound InfrastructureNotAvailable InvalidRepositoryURLError
├── data          SerializationError HashError EventTooLarge StoreError → StoreConflict StoreUnavailable → StoreContention
    │                 ResultStorageError EncryptionKeyError TransactionRolledBack
├── concurrency   ConcurrencySlotAcquisitionError AcquireConcurrencySlotTimeoutError
├── plugins       PluginError PluginNotInstalled PluginBroken PluginConflict PluginIncompatible MissingExtra PluginDenied
└── deployment    StepExecutionError DeploymentApplyError PathValidationError
HeadraceSignal (BaseException): Abort Pause ExternalSignal → TerminationSignal
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def exception_traceback(exc: BaseException) -> str:
    """Return an exception as Python prints it: its traceback, its causes and its message."""
    import traceback

    return "".join(traceback.format_exception(exc))


def near(name: str, choices: Iterable[str]) -> str:
    """Return "Did you mean 'x' or 'y'?" for the names closest to `name`, or "" when none is close."""
    from difflib import get_close_matches

    found = get_close_matches(str(name), [str(choice) for choice in choices], n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(repr(match) for match in found)}?" if found else ""


class HeadraceException(Exception):
    """Root of every error that headrace raises on purpose."""


# --- results of runs ---------------------------------------------------------------------------------------------


class FailedRun(HeadraceException):
    """A run ended as Failed and left no exception object to raise."""


class CrashedRun(HeadraceException):
    """A run ended as Crashed: something outside the user's code stopped it."""


class CancelledRun(HeadraceException):
    """A run was cancelled."""


class PausedRun(HeadraceException):
    """The result of a paused run was asked for; `state` is the paused state."""

    def __init__(self, *args: object, state: Any = None) -> None:
        super().__init__(*args)
        self.state = state


class UnfinishedRun(HeadraceException):
    """The result of a run that has not ended was asked for."""


class MissingResult(HeadraceException):
    """The run completed but its value was not persisted, so it cannot be read back."""


class UpstreamTaskError(HeadraceException):
    """A run depends on another that did not complete."""


# --- definitions and calls -----------------------------------------------------------------------------------------


class ParameterTypeError(HeadraceException):
    """Arguments do not fit the flow's annotations."""


class ParameterBindError(TypeError, HeadraceException):
    """Arguments do not fit the signature: missing, unknown or too many."""


class SignatureMismatchError(HeadraceException, TypeError):
    """Stored parameters name arguments that the flow does not take."""


class ReservedArgumentError(HeadraceException, TypeError):
    """A parameter has a name that the engine uses itself (`return_state`, `wait_for`)."""


class InvalidNameError(HeadraceException, ValueError):
    """A name has characters that are not allowed in it."""


class ScriptError(HeadraceException):
    """A user's script raised while it was imported; `user_exc` is what it raised."""

    def __init__(self, user_exc: BaseException, path: str) -> None:
        super().__init__(f"Script at {str(path)!r} encountered an exception: {user_exc!r}")
        self.user_exc = user_exc
        self.path = path


class MissingFlowError(HeadraceException):
    """An entrypoint names something that is absent or not a flow."""


class UnspecifiedFlowError(HeadraceException):
    """A script holds several flows and none was named."""


class HeadraceImportError(ImportError, HeadraceException):
    """A documented name could not be imported."""


class MappingLengthMismatch(HeadraceException):
    """Iterables given to `map` differ in length."""


class MappingMissingIterable(HeadraceException):
    """`map` was called without any iterable argument."""


# --- the interface to the store -------------------------------------------------------------------------------------


class ObjectNotFound(HeadraceException):
    """The named object does not exist. `http_exc` is the HTTP error behind it, if there was one."""

    def __init__(self, message: str | Exception | None = None, help_message: str | None = None) -> None:
        self.http_exc = message if isinstance(message, Exception) else None
        self.help_message = help_message
        super().__init__(help_message or (str(message) if message is not None else "The object was not found."))


class ObjectAlreadyExists(HeadraceException):
    """An object of that name exists already."""

    def __init__(self, message: str | Exception | None = None, help_message: str | None = None) -> None:
        self.http_exc = message if isinstance(message, Exception) else None
        super().__init__(help_message or (str(message) if message is not None else "The object exists already."))


class ObjectLimitReached(HeadraceException):
    """The server refuses to hold more objects of this kind."""


class ObjectUnsupported(HeadraceException):
    """The server does not know this kind of object."""


class InvalidRequest(HeadraceException, ValueError):
    """The request was understood and refused: its values break a rule. `status` is the HTTP status it stands for."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class InvalidTemplate(InvalidRequest):
    """A Jinja template cannot be read; `line` of `source` is where."""

    def __init__(self, message: str, line: int, source: str) -> None:
        super().__init__(message)
        self.line = line
        self.source = source


class HeadraceHTTPStatusError(HeadraceException):
    """The server answered with an error status; the message carries the server's detail, `status` is the number."""

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class ServerUnreachable(HeadraceException, RuntimeError):
    """No answer came from the server: it is down, its address is wrong, or the network is."""


class ServerVersionMismatch(HeadraceException, RuntimeError):
    """The server speaks another version of the API."""


class SlotsUnavailable(HeadraceException):
    """Concurrency slots are taken; try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LeaseGone(HeadraceException):
    """A concurrency lease has expired or was released."""


# --- context, settings ------------------------------------------------------------------------------------------------


class MissingContextError(HeadraceException, RuntimeError):
    """Something that needs a running flow or task was used outside one."""


class MissingProfileError(HeadraceException, ValueError):
    """The named profile does not exist."""


class ConfigurationError(HeadraceException):
    """Options that do not go together, or a setting that cannot be used."""


class ProfileSettingsValidationError(HeadraceException):
    """Settings in a profile are invalid; `errors` lists (setting, error) pairs."""

    def __init__(self, errors: list[tuple[Any, Any]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {error}" for name, error in errors) or "invalid profile settings")


# --- pausing ------------------------------------------------------------------------------------------------------------


class NotPausedError(HeadraceException):
    """A run that is not paused was told to resume."""


class FlowPauseTimeout(HeadraceException):
    """A paused run was not resumed in time."""


class FlowRunWaitTimeout(HeadraceException):
    """A flow run did not end within the time given."""


# --- blocks ---------------------------------------------------------------------------------------------------------------


class BlockMissingCapabilities(HeadraceException):
    """A block lacks an ability that is needed here."""


class ProtectedBlockError(HeadraceException):
    """A built-in block type was told to change or go."""


class BlockNotSavedError(RuntimeError, HeadraceException):
    """A block must be saved before it can be referred to."""


class InvalidBlockRegistration(HeadraceException):
    """A block class cannot be registered, as `Block` itself."""


class UnknownBlockType(HeadraceException):
    """No class is known for a block type."""


# --- infrastructure, deployments --------------------------------------------------------------------------------------------


class InfrastructureError(HeadraceException):
    """Something went wrong with the infrastructure of a run."""


class InfrastructureNotFound(InfrastructureError):
    """The infrastructure of a run is gone."""


class InfrastructureNotAvailable(InfrastructureError):
    """The infrastructure of a run cannot be reached from here."""


class InvalidRepositoryURLError(HeadraceException):
    """A repository address is not usable."""


class StepExecutionError(HeadraceException):
    """A deployment step failed."""


class DeploymentApplyError(RuntimeError, HeadraceException):
    """A deployment could not be written."""


class PathValidationError(HeadraceException, ValueError):
    """A file that should travel with a flow is not there, or lies outside the flow's folder."""


# --- data -----------------------------------------------------------------------------------------------------------------------


class SerializationError(HeadraceException):
    """A value could not be turned into bytes or back."""


class HashError(HeadraceException):
    """A value could not be hashed for a cache key."""


class EventTooLarge(HeadraceException):
    """An event is larger than allowed; `size` and `maximum` are bytes."""

    def __init__(self, size: int, maximum: int) -> None:
        self.size = size
        self.maximum = maximum
        super().__init__(f"Event is too large to emit ({size} > {maximum} bytes)")


class StoreError(HeadraceException):
    """The database or the files beside it cannot be used: full disk, read-only home, newer schema."""


class StoreConflict(StoreError):
    """What was to be stored is there already under that key, or what it refers to is not there. Nothing was stored."""


class StoreUnavailable(StoreError):
    """The database did not answer or was too busy. Nothing was stored; the same may succeed in a moment."""


class StoreContention(StoreUnavailable):
    """The database took the transaction back, because another one changed the same at the same time. It may be tried again at once."""


class ResultStorageError(HeadraceException):
    """The storage of results cannot be used; runs are recorded all the same."""


class EncryptionKeyError(HeadraceException):
    """The key that block values are encrypted with is missing, is another one, or does not fit them."""


class TransactionRolledBack(HeadraceException):
    """A `with transaction()` block ended well but its work was undone; `__cause__` is what went wrong, if something did."""


# --- concurrency ----------------------------------------------------------------------------------------------------------------


class ConcurrencySlotAcquisitionError(HeadraceException):
    """Slots of a concurrency limit could not be taken."""


class AcquireConcurrencySlotTimeoutError(TimeoutError, HeadraceException):
    """Slots of a concurrency limit did not become free in time."""


# --- plugins ----------------------------------------------------------------------------------------------------------------------


class PluginError(HeadraceException):
    """Something is wrong with a plugin or with what it offers."""


class PluginNotInstalled(PluginError):
    """No installed plugin offers the name."""


class PluginBroken(PluginError):
    """The plugin that offers the name raised while it was imported."""


class PluginConflict(PluginError):
    """Two distributions offer one name."""


class PluginIncompatible(PluginError):
    """The plugin was written for another version of the hook specifications."""


class PluginDenied(PluginError):
    """The plugin is kept out by the allow or deny list."""


class MissingExtra(PluginError):
    """The plugin is installed, but a package that it needs is not."""


# --- signals: not for users to catch, so they are not Exceptions -------------------------------------------------------------------


class HeadraceSignal(BaseException):
    """A message to the engine that passes through user code."""


class Abort(HeadraceSignal):
    """The orchestrator says that the run must stop without a new state."""


class Pause(HeadraceSignal):
    """A flow run was suspended and its process ends; `state` is the paused state."""

    def __init__(self, *args: object, state: Any = None) -> None:
        super().__init__(*args)
        self.state = state


class ExternalSignal(BaseException):
    """A signal from outside the process."""


class TerminationSignal(ExternalSignal):
    """The process was told to terminate; `signal` is its number."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class FlowRunTimeoutError(TimeoutError, HeadraceException):
    """A flow run took longer than its `timeout_seconds`."""


class TaskRunTimeoutError(TimeoutError, HeadraceException):
    """A task run took longer than its `timeout_seconds`."""
