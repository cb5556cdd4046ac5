"""What blocks of one sort have in common, so that code can use any of them: credentials, notifications, jobs, databases, stores."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Generic, Self, TypeVar

from headrace.client import current_run
from headrace.model.errors import HeadraceException
from headrace.objects.blocks import Block
from headrace.objects.offload import call_either

T = TypeVar("T")

_raising: ContextVar[tuple[int, ...]] = ContextVar("headrace_blocks_that_raise", default=())


class NotificationError(HeadraceException):
    """A notification could not be sent; `log` tells what happened."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log


class HasLogger:
    """Gives a logger that fits the place."""

    @property
    def logger(self) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
        """The logger of this object: inside a run the run's own, else one named after the class."""
        frame = current_run.frame()
        return frame.logger if frame is not None else logging.getLogger(f"headrace.{type(self).__name__}")


class CredentialsBlock(HasLogger, Block, ABC):
    """Stores credentials for an external system and exposes a client for interacting with that system.

    Other blocks hold one and use the client that it gives.
    """

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def get_client(self, *args: Any, **kwargs: Any) -> Any:
        """Return a client of the external system. Where there are several kinds, `client_type` says which."""


class NotificationBlock(HasLogger, Block, ABC):
    """Block that represents a resource in an external system that is able to send notifications."""

    _is_interface: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str]] = ["notify"]

    @abstractmethod
    def notify(self, body: str, subject: str | None = None) -> None:
        """Send a notification. A failure is logged, and raised only inside `raise_on_failure`."""

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Send a notification."""
        await call_either(self.notify, body, subject)

    @contextmanager
    def raise_on_failure(self) -> Generator[None, None, None]:
        """Raise NotificationError for a notification of this block that fails within `with`, instead of logging it."""
        token = _raising.set((*_raising.get(), id(self)))
        try:
            yield
        finally:
            _raising.reset(token)

    def report_failure(self, log: str, cause: BaseException | None = None) -> None:
        """Log that sending failed, or raise NotificationError inside `raise_on_failure`. `log` must not hold a secret."""
        if id(self) in _raising.get():
            raise NotificationError(log) from cause
        self.logger.error("%s", log)


class JobRun(HasLogger, ABC, Generic[T]):
    """Represents a job run in an external system. Allows waiting for the job run's completion and fetching its results."""

    @abstractmethod
    def wait_for_completion(self) -> Any:
        """Wait for the job run to complete."""

    @abstractmethod
    def fetch_result(self) -> Any:
        """Return the result of the completed job run."""


class JobBlock(HasLogger, Block, ABC, Generic[T]):
    """Block that represents an entity in an external service that can trigger a long running execution."""

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def trigger(self) -> Any:
        """Start a job run in the external service and return a `JobRun[T]` to follow it."""


class DatabaseBlock(HasLogger, Block, ABC):
    """An abstract block type that represents a database and provides an interface for interacting with it.

    It takes credentials directly or by a nested `CredentialsBlock`. Rows are tuples of columns. Blocks that hold connections close
    them at the end of `with` or `async with`.
    """

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def fetch_one(self, operation: str, parameters: dict[str, Any] | None = None, **execution_kwargs: Any) -> Any:
        """Return the next row of an operation's result."""

    @abstractmethod
    def fetch_many(self, operation: str, parameters: dict[str, Any] | None = None, size: int | None = None, **execution_kwargs: Any) -> Any:
        """Return the next `size` rows of an operation's result."""

    @abstractmethod
    def fetch_all(self, operation: str, parameters: dict[str, Any] | None = None, **execution_kwargs: Any) -> Any:
        """Return every row of an operation's result."""

    @abstractmethod
    def execute(self, operation: str, parameters: dict[str, Any] | None = None, **execution_kwargs: Any) -> Any:
        """Perform an operation that returns nothing, as INSERT."""

    @abstractmethod
    def execute_many(self, operation: str, seq_of_parameters: list[dict[str, Any]], **execution_kwargs: Any) -> Any:
        """Perform an operation that returns nothing once for each set of parameters."""

    def __enter__(self) -> Self:
        raise TypeError(f"{type(self).__name__} cannot be used in `with`. Call its methods directly, or try `async with`.")

    def __exit__(self, *args: object) -> None:
        raise TypeError(f"{type(self).__name__} cannot be used in `with`.")

    async def __aenter__(self) -> Self:
        raise TypeError(f"{type(self).__name__} cannot be used in `async with`. Call its methods directly, or try `with`.")

    async def __aexit__(self, *args: object) -> None:
        raise TypeError(f"{type(self).__name__} cannot be used in `async with`.")


class ObjectStorageBlock(HasLogger, Block, ABC):
    """Block that represents a resource in an external service that can store objects."""

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def download_object_to_path(self, from_path: str, to_path: str | Path, **download_kwargs: Any) -> Any:
        """Download an object into a file and return the file's path."""

    @abstractmethod
    def download_object_to_file_object(self, from_path: str, to_file_object: BinaryIO, **download_kwargs: Any) -> Any:
        """Download an object into an open file, or a BytesIO, and return that."""

    @abstractmethod
    def download_folder_to_path(self, from_folder: str, to_folder: str | Path, **download_kwargs: Any) -> Any:
        """Download a folder and return the path that it went to."""

    @abstractmethod
    def upload_from_path(self, from_path: str | Path, to_path: str, **upload_kwargs: Any) -> Any:
        """Upload a file and return the path of the object."""

    @abstractmethod
    def upload_from_file_object(self, from_file_object: BinaryIO, to_path: str, **upload_kwargs: Any) -> Any:
        """Upload what an open file, or a BytesIO, holds and return the path of the object."""

    @abstractmethod
    def upload_from_folder(self, from_folder: str | Path, to_folder: str, **upload_kwargs: Any) -> Any:
        """Upload a folder and return the path that it went to."""


class SecretBlock(HasLogger, Block, ABC):
    """Block that represents a resource that can store and retrieve secrets."""

    _is_interface: ClassVar[bool] = True

    @abstractmethod
    def read_secret(self) -> Any:
        """Return the secret's bytes from the service that keeps it."""

    @abstractmethod
    def write_secret(self, secret_data: bytes) -> Any:
        """Give a secret to the service that keeps it and return the key to read it by."""
