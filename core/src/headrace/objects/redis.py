"""Redis as a file system: a path is a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import Field, SecretStr

from headrace.client.bridge import blocking
from headrace.model.errors import MissingExtra
from headrace.objects.filesystems import WritableFileSystem
from headrace.objects.offload import offload


class RedisStorageContainer(WritableFileSystem):
    """Block used to interact with Redis as a filesystem. Needs the package `redis`.

    Either `connection_string` or `host` is given; the string wins. A path is the whole key.

    Example:
        ```python
        from headrace.blocks.redis import RedisStorageContainer

        block = RedisStorageContainer.from_host(host="localhost", password="...")
        block.save("results")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Redis Storage Container"
    _block_type_slug: ClassVar[str | None] = "redis-storage-container"

    host: str | None = Field(default=None, description="Redis hostname")
    port: int = Field(default=6379, description="Redis port")
    db: int = Field(default=0, description="Redis DB index")
    username: SecretStr | None = Field(default=None, description="Redis username")
    password: SecretStr | None = Field(default=None, description="Redis password")
    connection_string: SecretStr | None = Field(default=None, description="Redis connection string")

    def block_initialization(self) -> None:
        """Demand an address. Raises ValueError without one."""
        if not self.host and self.connection_string is None:
            raise ValueError("A Redis storage container needs `host` or `connection_string`; neither was given.")

    @classmethod
    def from_host(
        cls,
        host: str,
        port: int = 6379,
        db: int = 0,
        username: str | SecretStr | None = None,
        password: str | SecretStr | None = None,
    ) -> Self:
        """Make a block from a host name, and a user name and a password if they are needed."""
        return cls(host=host, port=port, db=db, username=_secret(username), password=_secret(password))

    @classmethod
    def from_connection_string(cls, connection_string: str | SecretStr) -> Self:
        """Make a block from an address: `redis://` (TCP), `rediss://` (TLS) or `unix://` (a socket file)."""
        return cls(connection_string=_secret(connection_string))

    async def aread_path(self, path: Path | str) -> bytes | None:
        """Return what is stored under the key `path`, or None when there is no such key."""
        return await offload(self._with_client, "get", str(path))

    async def awrite_path(self, path: Path | str, content: bytes) -> bool:
        """Store `content` under the key `path`; return whether Redis took it."""
        return bool(await offload(self._with_client, "set", str(path), content))

    async def aexists(self, path: Path | str) -> bool:
        """Say whether there is a key `path`."""
        return bool(await offload(self._with_client, "exists", str(path)))

    async def adelete_path(self, path: Path | str) -> None:
        """Delete the key `path`; nothing happens when there is none."""
        await offload(self._with_client, "delete", str(path))

    async def alist_paths(self, path: str = "") -> list[str]:
        """Return the keys that begin with `path`, sorted."""
        pattern = "".join(f"[{letter}]" if letter in "*?[" else f"\\{letter}" if letter in "]\\" else letter for letter in path) + "*"
        return await offload(self._keys, pattern)

    if TYPE_CHECKING:

        def read_path(self, path: Path | str) -> bytes | None: ...
        def write_path(self, path: Path | str, content: bytes) -> bool: ...
        def exists(self, path: Path | str) -> bool: ...
        def delete_path(self, path: Path | str) -> None: ...
        def list_paths(self, path: str = "") -> list[str]: ...
    else:
        read_path = blocking(aread_path)
        write_path = blocking(awrite_path)
        exists = blocking(aexists)
        delete_path = blocking(adelete_path)
        list_paths = blocking(alist_paths)

    def _client(self) -> Any:
        try:
            import redis  # pyright: ignore[reportMissingImports]  # an optional package
        except ModuleNotFoundError as error:
            raise MissingExtra("A Redis storage container needs the package redis. Install it with `pip install redis`.") from error
        make = cast("Any", redis).Redis
        if self.connection_string is not None:
            return make.from_url(self.connection_string.get_secret_value())
        return make(
            host=self.host,
            port=self.port,
            db=self.db,
            username=self.username.get_secret_value() if self.username else None,
            password=self.password.get_secret_value() if self.password else None,
        )

    def _with_client(self, command: str, *args: Any) -> Any:
        with self._client() as client:
            return getattr(client, command)(*args)

    def _keys(self, pattern: str) -> list[str]:
        with self._client() as client:
            return sorted(key.decode() for key in client.scan_iter(match=pattern))


def _secret(value: str | SecretStr | None) -> SecretStr | None:
    return SecretStr(value) if isinstance(value, str) else value
