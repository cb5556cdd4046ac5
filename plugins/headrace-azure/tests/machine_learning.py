"""What answers where Azure Resource Manager does, for the datastores of one workspace of Azure Machine Learning."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .certificates import Certificates
from .serving import Handler, serving

WORKSPACE = "/subscriptions/sub-one/resourceGroups/group/providers/Microsoft.MachineLearningServices/workspaces/lab"
STORAGE_HOST = "devstoreaccount1.blob.storage.test"
"""Where the account seems to be, as real ones are: a name for each."""


@dataclass
class MachineLearning:
    """The workspace: its datastores by name, with the secrets that listings leave out."""

    url: str = ""
    datastores: dict[str, dict[str, Any]] = field(default_factory=dict)


@contextmanager
def machine_learning(tls: Certificates) -> Iterator[MachineLearning]:
    service = MachineLearning()

    class Datastores(Handler):
        def respond(self, content: bytes) -> None:
            parts = urlsplit(self.path)
            payload = self.headers["Authorization"].removeprefix("Bearer ").split(".")[1]
            assert json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"] == service.url
            query = parse_qs(parts.query)
            assert "api-version" in query
            self.answer(*self._answer(self.command, parts.path, query, json.loads(content or b"{}")))

        def _answer(self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
            if not path.startswith(f"{WORKSPACE}/datastores"):
                return 404, {"error": {"code": "ResourceNotFound", "message": "The workspace was not found."}}
            name, _, action = path.removeprefix(f"{WORKSPACE}/datastores").strip("/").partition("/")
            if not name:
                return 200, self._page(query)
            if method == "PUT":
                service.datastores[name] = {"isDefault": False, **body["properties"]}
                return 201, _shown(name, service.datastores[name])
            if name not in service.datastores:
                return 404, {"error": {"code": "UserError", "message": f"Could not find datastore: {name}."}}
            if action == "listSecrets":
                return 200, service.datastores[name]["credentials"]["secrets"]
            return 200, _shown(name, service.datastores[name])

        def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
            """Return one datastore at a time."""
            wanted = [name for name, one in sorted(service.datastores.items()) if query.get("isDefault") != ["true"] or one["isDefault"]]
            start = int(query.get("$skip", ["0"])[0])
            more = f"{service.url}{WORKSPACE}/datastores?api-version=1&$skip={start + 1}"
            return {
                "value": [_shown(name, service.datastores[name]) for name in wanted[start : start + 1]],
                **({"nextLink": more} if len(wanted) > start + 1 else {}),
            }

    with serving(Datastores, tls) as service.url:
        yield service


def _shown(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    credentials = {key: value for key, value in properties["credentials"].items() if key != "secrets"}
    return {"name": name, "properties": {**properties, "credentials": credentials}}


@contextmanager
def storage_proxy(port: int) -> Iterator[str]:
    """Give the address of a proxy that leads to Azurite whatever host is asked for, as the name of an account in Azure's cloud would."""

    class Proxy(Handler):
        def respond(self, content: bytes) -> None:
            parts = urlsplit(self.path)
            there = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            there.request(self.command, target, content, {name: value for name, value in self.headers.items() if name != "Proxy-Connection"})
            answer = there.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Proxy) as url:
        yield url
