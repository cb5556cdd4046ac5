"""What answers where Cosmos DB does, for one container of one database.

It checks the key's signature ("Access control in the Azure Cosmos DB SQL API").
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from .serving import Handler, serving

KEY = base64.b64encode(b"very-private-key-of-cosmos").decode()
DATABASE, CONTAINER = "shop", "products"
WRONG_KEY = {"code": "Unauthorized", "message": "The input authorization token can't serve the request. Wrong key being used?"}


@dataclass
class Cosmos:
    """The account; `items` by their ids. Their partition key is `city`."""

    url: str
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def connection_string(self) -> str:
        return f"AccountEndpoint={self.url}/;AccountKey={KEY};"


@contextmanager
def cosmos() -> Iterator[Cosmos]:
    service = Cosmos("")
    root = f"dbs/{DATABASE}/colls/{CONTAINER}"

    class Items(Handler):
        def respond(self, content: bytes) -> None:
            method, path = self.command, unquote(self.path).strip("/")
            status, body = self._answer(method, path, json.loads(content or b"null")) if self._is_signed(method, path) else (401, WRONG_KEY)
            self.answer(status, body, {"x-ms-item-count": "1"})

        def _is_signed(self, method: str, path: str) -> bool:
            parts = path.split("/") if path else []
            kind = parts[-1] if len(parts) % 2 else (parts[-2] if parts else "")
            link = "/".join(parts[:-1] if len(parts) % 2 else parts)
            text = f"{method.lower()}\n{kind.lower()}\n{link}\n{self.headers['x-ms-date'].lower()}\n\n"
            signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
            return self.headers["authorization"] == quote(f"type=master&ver=1.0&sig={signature}", safe="-_.!~*'()")

        def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
            if path == "":
                place = [{"name": "here", "databaseAccountEndpoint": f"{service.url}/"}]
                return 200, {"id": "account", "writableLocations": place, "readableLocations": place, "userConsistencyPolicy": {}}
            if path == root:
                return 200, {"id": CONTAINER, "_rid": "rid1", "_self": root, "partitionKey": {"paths": ["/city"], "kind": "Hash", "version": 2}}
            if path == f"{root}/pkranges":
                return 200, {"_rid": "rid1", "PartitionKeyRanges": [{"id": "0", "minInclusive": "", "maxExclusive": "FF", "parents": []}]}
            if path == f"{root}/docs" and self.headers.get("x-ms-documentdb-isquery", "").lower() == "true":
                return 200, {"_rid": "rid1", "Documents": self._found(body)}
            if path == f"{root}/docs":
                if body["id"] in service.items:
                    return 409, {"code": "Conflict", "message": "Entity with the specified id already exists in the system."}
                service.items[body["id"]] = {**body, "_etag": '"1"'}
                return 201, service.items[body["id"]]
            found = service.items.get(path.removeprefix(f"{root}/docs/"))
            if found is None or self.headers.get("x-ms-documentdb-partitionkey") != json.dumps([found["city"]]):
                return 404, {"code": "NotFound", "message": "Entity with the specified id does not exist in the system."}
            return 200, found

        def _found(self, body: dict[str, Any]) -> list[dict[str, Any]]:
            """Evaluate `SELECT * FROM x WHERE x.name = @name`."""
            given = {one["name"]: one["value"] for one in body.get("parameters", [])}
            wanted = [(name, given[value]) for name, value in re.findall(r"\w+\.(\w+) = (@\w+)", body["query"])]
            partition = self.headers.get("x-ms-documentdb-partitionkey")
            wanted += [("city", json.loads(partition)[0])] if partition else []
            return [one for one in service.items.values() if all(one.get(name) == value for name, value in wanted)]

    with serving(Items) as service.url:
        yield service
