"""What answers where Azure Resource Manager does, for one subscription: deployments of container groups, whose containers run on a Docker engine."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from docker import DockerClient
from docker.errors import DockerException

from .certificates import Certificates
from .serving import Handler, serving

SUBSCRIPTION = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
GROUP = "runs"
FORBIDDEN = "not-ours"
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/vaults/our-vault"
LABEL = "azure.container-group"


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.body = status, {"error": {"code": code, "message": message}}


@dataclass
class ResourceManager:
    """The service. `docker` has the containers; their names are those of the groups. `volumes` are given to each."""

    docker: DockerClient
    volumes: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    url: str = ""
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    started: int = 0
    stuck: bool = False
    """Whether deployments come to no end by themselves; `finish` has one do so."""
    answers_lost: int = 0
    """How many answers to deployments are yet to be lost on their way."""
    unmade: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    working: list[threading.Thread] = field(default_factory=list)
    when_asked: Callable[[str], None] = lambda name: None
    """Is called with the name of a deployment that is asked after or cancelled, just before the answer."""

    def close(self) -> None:
        for one in self.working:
            one.join()
        for name in list(self.groups):
            self.remove(name)
        self.docker.close()

    # --- deployments

    def deploy(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        known = self.deployments.get(name)
        if known is not None and known["properties"]["provisioningState"] == "Running":
            raise Refused(409, "DeploymentActive", f"Unable to edit or replace deployment '{name}': previous deployment is still active.")
        template = body["properties"]["template"]
        parameters = self._parameters(template, body["properties"]["parameters"])
        properties = {"provisioningState": "Running", "mode": "Incremental"}
        found = {"id": name, "name": name, "type": "Microsoft.Resources/deployments", "tags": body.get("tags", {}), "properties": properties}
        self.deployments[name] = {**found, "asked": json.dumps(template)}
        self.unmade[name] = template, parameters
        if not self.stuck:
            self.working.append(threading.Thread(target=self.finish, args=(name,), daemon=True))
            self.working[-1].start()
        return found

    def finish(self, name: str) -> None:
        """Have a deployment that is under way make its container group."""
        if name in self.unmade:
            self._make(name, *self.unmade.pop(name))

    def _parameters(self, template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        unknown = set(given) - set(template["parameters"])
        if unknown:
            raise Refused(400, "InvalidTemplate", f"Deployment template validation failed: the parameters {sorted(unknown)} are not declared.")
        found = {"location": "northeurope", **{key: one["value"] for key, one in given.items() if "value" in one}}
        for key, one in given.items():
            if "reference" in one:
                reference = one["reference"]
                if reference["keyVault"]["id"] != VAULT or reference["secretName"] not in self.secrets:
                    raise Refused(400, "KeyVaultParameterReferenceSecretRetrieveFailed", f"The secret of the parameter '{key}' cannot be retrieved.")
                found[key] = self.secrets[reference["secretName"]]
        return found

    def _make(self, deployment: str, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        (resource,) = _evaluated(template["resources"], parameters)
        known = self.deployments[deployment]["properties"]
        try:
            self._start(resource)
        except DockerException as error:
            message = f"The image '{resource['properties']['containers'][0]['properties']['image']}' in container group is not accessible. ({error})"
            details = [{"code": "InaccessibleImage", "message": message}]
            known["error"] = {"code": "DeploymentFailed", "message": "At least one resource deployment operation failed.", "details": details}
            known["provisioningState"] = "Failed"
        else:
            known["provisioningState"] = "Succeeded"

    def _start(self, resource: dict[str, Any]) -> None:
        name = resource["name"]
        container = resource["properties"]["containers"][0]
        properties = container["properties"]
        for login in resource["properties"].get("imageRegistryCredentials", []):
            self.docker.images.pull(properties["image"], auth_config={"username": login["username"], "password": login.pop("password")})
        environment = {one["name"]: one.get("secureValue", one.get("value")) for one in properties["environmentVariables"]}
        made = self.docker.containers.create(
            properties["image"], entrypoint=properties["command"], environment=environment, network_mode="host", labels={LABEL: name},
            volumes=self.volumes, name=name,
        )  # fmt: skip
        for one in properties["environmentVariables"]:
            one.pop("secureValue", None)  # Azure never shows it
        self.groups[name] = {**resource, "id": name, "properties": {**resource["properties"], "provisioningState": "Succeeded"}}
        self.started += 1
        with suppress(DockerException):  # such a container ends at once, as it does on Azure
            made.start()

    # --- container groups

    def group(self, name: str) -> dict[str, Any]:
        if name not in self.groups:
            raise Refused(404, "ResourceNotFound", f"The Resource 'Microsoft.ContainerInstance/containerGroups/{name}' was not found.")
        found = self.groups[name]
        state = self.docker.containers.get(name).attrs["State"]
        shown = {"created": "Waiting", "running": "Running"}.get(state["Status"], "Terminated")
        current = {"state": shown, "detailStatus": {"Waiting": "", "Running": ""}.get(shown, "Completed" if not state["ExitCode"] else "Error")}
        if shown == "Terminated":
            current["exitCode"] = state["ExitCode"]
            current["detailStatus"] += f" {state['Error']}" if state["Error"] else ""
        found["properties"]["containers"][0]["properties"]["instanceView"] = {"restartCount": 0, "currentState": current, "events": []}
        return found

    def stop(self, name: str) -> None:
        self.group(name)
        self.docker.containers.get(name).stop(timeout=2)

    def remove(self, name: str) -> None:
        if self.groups.pop(name, None) is not None:
            self.docker.containers.get(name).remove(force=True)

    def logs(self, name: str, has_times: bool) -> str:
        self.group(name)
        return self.docker.containers.get(name).logs(timestamps=has_times).decode()

    # --- requests

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        if path.startswith("/operations/"):
            return (200 if path.rpartition("/")[2] not in self.groups else 202), None
        found = re.fullmatch(r"/subscriptions/([^/]+)/resource[Gg]roups/([^/]+)/providers/([^/]+)/([^/]+)/([^/]+)(/.*)?", path)
        assert found, path
        subscription, group, _, kind, name, rest = found.groups()
        if subscription != SUBSCRIPTION:
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if group == FORBIDDEN:
            raise Refused(403, "AuthorizationFailed", f"The client '{'6' * 8}' does not have authorization to perform action 'write'.")
        if group != GROUP:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if kind == "deployments":
            return self._answer_for_deployment(method, name, rest, body)
        return self._answer_for_group(method, name, rest, query)

    def _answer_for_deployment(self, method: str, name: str, rest: str | None, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "PUT":
            return 201, self.deploy(name, body)
        self.when_asked(name)
        if name not in self.deployments:
            raise Refused(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
        known = self.deployments[name]
        if rest == "/cancel":
            if known["properties"]["provisioningState"] != "Running":
                raise Refused(409, "DeploymentCannotBeCancelled", f"The deployment '{name}' cannot be cancelled.")
            known["properties"]["provisioningState"] = "Canceled"
            return 204, None
        return 200, {key: value for key, value in known.items() if key != "asked"}

    def _answer_for_group(self, method: str, name: str, rest: str | None, query: dict[str, list[str]]) -> tuple[int, Any]:
        if method == "DELETE":
            if name not in self.groups:
                return 204, None
            self.remove(name)
            return 202, None
        if rest == "/stop":
            self.stop(name)
            return 204, None
        if rest and rest.endswith("/logs"):
            return 200, {"content": self.logs(name, query.get("timestamps") == ["true"])}
        return 200, self.group(name)


def _evaluated(value: Any, parameters: dict[str, Any]) -> Any:
    """Evaluate what expressions our templates have."""
    if isinstance(value, dict):
        return {key: _evaluated(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [_evaluated(item, parameters) for item in value]
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        if value.startswith("[["):
            return value[1:]
        found = re.fullmatch(r"\[parameters\('(\w+)'\)\]", value)
        assert found, f"no such expression: {value}"
        return parameters[found[1]]
    return value


@contextmanager
def resource_manager(docker: DockerClient, tls: Certificates) -> Iterator[ResourceManager]:
    service = ResourceManager(docker)

    class Requests(Handler):
        def respond(self, content: bytes) -> None:
            parts = urlsplit(self.path)
            service.asked.append(f"{self.command} {parts.path}")
            try:
                self._check_token()
                status, body = service.answer(self.command, unquote(parts.path), parse_qs(parts.query), json.loads(content or b"{}"))
            except Refused as refused:
                status, body = refused.status, refused.body
            if self.command == "PUT" and service.answers_lost:
                service.answers_lost -= 1
                self.close_connection = True
                return
            self.answer(status, body, {"Location": f"{service.url}/operations/{parts.path.rpartition('/')[2]}"} if status == 202 else None)

        def _check_token(self) -> None:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").split(".")
            if len(token) != 3:
                raise Refused(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
            claims = json.loads(base64.urlsafe_b64decode(token[1] + "=" * (-len(token[1]) % 4)))
            if claims["aud"] != service.url:
                raise Refused(401, "InvalidAuthenticationTokenAudience", f"The access token is for the wrong audience '{claims['aud']}'.")

    with serving(Requests, tls) as service.url:
        try:
            yield service
        finally:
            service.close()
