"""Secret Manager for tests."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from google_crc32c import value as checksum

from .google_apis import Asked, GoogleApi, Refused


@dataclass
class SecretManager(GoogleApi):
    """Keeps secrets in memory; a version without a value was destroyed."""

    document: str = "secretmanager.v1"
    secrets: dict[str, list[str | None]] = field(default_factory=dict)
    damage: int = 0

    def projects_secrets_create(self, asked: Asked) -> dict[str, Any]:
        name = f"projects/{asked.names[0]}/secrets/{asked.query['secretId']}"
        if name in self.secrets:
            raise Refused(409, "ALREADY_EXISTS", f"Secret [{name}] already exists.")
        self.secrets[name] = []
        return {"name": name, "replication": asked.body["replication"]}

    def projects_secrets_get(self, asked: Asked) -> dict[str, Any]:
        return {"name": self._known(asked)}

    def projects_secrets_delete(self, asked: Asked) -> dict[str, Any]:
        del self.secrets[self._known(asked)]
        return {}

    def projects_secrets_addVersion(self, asked: Asked) -> dict[str, Any]:
        name, payload = self._known(asked), asked.body["payload"]
        assert checksum(b64decode(payload["data"])) == int(payload["dataCrc32c"])
        self.secrets[name].append(payload["data"])
        return {"name": f"{name}/versions/{len(self.secrets[name])}", "state": "ENABLED"}

    def projects_secrets_versions_access(self, asked: Asked) -> dict[str, Any]:
        name, versions = self._known(asked), self.secrets[self._known(asked)]
        number = len(versions) if asked.names[2] == "latest" else int(asked.names[2])
        if not 0 < number <= len(versions) or versions[number - 1] is None:
            raise Refused(404, "NOT_FOUND", f"Secret Version [{name}/versions/{asked.names[2]}] not found.")
        data = str(versions[number - 1])
        crc = str(checksum(b64decode(data)) + self.damage)
        return {"name": f"{name}/versions/{number}", "payload": {"data": data, "dataCrc32c": crc}}

    def projects_secrets_versions_destroy(self, asked: Asked) -> dict[str, Any]:
        name = self._known(asked)
        self.secrets[name][int(asked.names[2]) - 1] = None
        return {"name": f"{name}/versions/{asked.names[2]}", "state": "DESTROYED"}

    def _known(self, asked: Asked) -> str:
        name = f"projects/{asked.names[0]}/secrets/{asked.names[1]}"
        if name not in self.secrets:
            raise Refused(404, "NOT_FOUND", f"Secret [{name}] not found or has no versions.")
        return name
