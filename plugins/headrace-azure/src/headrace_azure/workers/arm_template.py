"""ARM templates of container groups: the default one, and what a run puts into it. No secret stands in a template: they are its parameters."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

GROUP_TYPE = "Microsoft.ContainerInstance/containerGroups"
_KEY_VAULT_SECRET = re.compile(
    r"(?P<vault>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.KeyVault/vaults/[^/]+)/secrets/(?P<name>[^/]+)(?:/(?P<version>[^/]+))?",
    re.I,
)


def default_template() -> dict[str, Any]:
    """Return the template of a base job template, with its placeholders."""
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-08-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {
                "type": "string",
                "defaultValue": "[resourceGroup().location]",
                "metadata": {"description": "Location for all resources."},
            },
            "container_group_name": {
                "type": "string",
                "defaultValue": "[uniqueString(resourceGroup().id)]",
                "metadata": {"description": "The name of the container group to create."},
            },
            "container_name": {
                "type": "string",
                "defaultValue": "[uniqueString(resourceGroup().id)]",
                "metadata": {"description": "The name of the container to create."},
            },
        },
        "resources": [
            {
                "type": GROUP_TYPE,
                "apiVersion": "2022-09-01",
                "name": "[parameters('container_group_name')]",
                "location": "[parameters('location')]",
                "properties": {
                    "containers": [
                        {
                            "name": "[parameters('container_name')]",
                            "properties": {
                                "image": "{{ image }}",
                                "command": "{{ command }}",
                                "resources": {"requests": {"cpu": "{{ cpu }}", "memoryInGB": "{{ memory }}"}},
                                "environmentVariables": [],
                            },
                        }
                    ],
                    "osType": "Linux",
                    "restartPolicy": "Never",
                },
            }
        ],
    }


@dataclass
class GroupTemplate:
    """A template with one container group, which is filled in step by step; `template` and `parameters` are what a deployment is made from."""

    template: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def __post_init__(self) -> None:
        self.template = deepcopy(self.template)
        groups = [one for one in self.template.get("resources") or [] if one.get("type", "").lower() == GROUP_TYPE.lower()]
        if len(groups) != 1:
            raise ValueError(
                f"The job's arm_template has {len(groups)} resources of type {GROUP_TYPE}, and one is needed, whose first container runs the flow. "
                "Mend it in the work pool's base job template."
            )
        self.group: dict[str, Any] = groups[0]
        self.properties: dict[str, Any] = self.group.setdefault("properties", {})
        containers = self.properties.setdefault("containers", [])
        if not containers:
            containers.append({})
        self.container: dict[str, Any] = containers[0].setdefault("properties", {})

    def name(self, name: str) -> None:
        """Call the group and its first container so."""
        self.group["name"] = name
        self.properties["containers"][0]["name"] = name
        for parameter in ("container_group_name", "container_name"):
            if parameter in (self.template.get("parameters") or {}):
                self.parameters[parameter] = {"value": name}

    def tag(self, tags: dict[str, str]) -> None:
        """Add tags to those that the template has; its own win."""
        self.group["tags"] = {**{name: literal(value) for name, value in tags.items()}, **(self.group.get("tags") or {})}

    def secret(self, name: str, value: str) -> str:
        """Pass a secret as a parameter, which Azure keeps to itself; return the expression that stands for it."""
        return self._parameter(name, {"value": value})

    def key_vault_secret(self, name: str, address: str) -> str:
        """Have Azure take a parameter from a Key Vault; return the expression that stands for it. Raises `ValueError` for a wrong address."""
        found = _KEY_VAULT_SECRET.fullmatch(address)
        if found is None:
            raise ValueError(
                f"secret_env says that {name} is the secret {address!r}, which is no secret of a Key Vault. Those are like /subscriptions/…/"
                "resourceGroups/…/providers/Microsoft.KeyVault/vaults/my-vault/secrets/my-secret. Enable the vault for template deployment."
            )
        reference: dict[str, Any] = {"keyVault": {"id": found["vault"]}, "secretName": found["name"]}
        if found["version"]:
            reference["secretVersion"] = found["version"]
        return self._parameter(name, {"reference": reference})

    def environment(self, plain: dict[str, str], secure: dict[str, str]) -> None:
        """Add environment variables to those that the template has, and win over them; values of `secure` are expressions."""
        own = [
            one for one in cast("list[dict[str, Any]]", self.container.get("environmentVariables") or []) if one.get("name") not in {*plain, *secure}
        ]
        own += [{"name": name, "value": literal(value)} for name, value in plain.items()]
        own += [{"name": name, "secureValue": value} for name, value in secure.items()]
        self.container["environmentVariables"] = own

    def identities(self, identities: list[str]) -> None:
        """Give the group managed identities."""
        if identities:
            self.group["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {one: {} for one in identities}}

    def _parameter(self, name: str, given: dict[str, Any]) -> str:
        declared: dict[str, Any] = self.template.setdefault("parameters", {})
        key = f"headrace_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
        while key in declared:
            key += "_"
        declared[key] = {"type": "secureString"}
        self.parameters[key] = given
        return f"[parameters('{key}')]"


def literal(value: str) -> str:
    """Return a text as a template has it: one in square brackets would be an expression ("ARM template syntax", escape characters)."""
    return f"[{value}" if value.startswith("[") and value.endswith("]") else value
