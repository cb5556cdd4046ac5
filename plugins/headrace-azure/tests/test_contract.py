"""The shape of the plugin."""

from __future__ import annotations

import json

from headrace.operations.pools.collections import WORKER_TYPES
from headrace.testing import PluginContract
from headrace_azure import AzureContainerWorker

STORAGE = {"connection_string": "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=dmVyeS1wcml2YXRlLWtleQ==;EndpointSuffix=core.windows.net"}
PRINCIPAL = {"tenant_id": "tenant-one", "client_id": "client-one", "client_secret": "very-private-secret"}
ML = {
    "tenant_id": "tenant-one",
    "service_principal_id": "client-one",
    "service_principal_password": "very-private-password",
    "subscription_id": "subscription-one",
    "resource_group": "group",
    "workspace_name": "workspace",
}


class TestContract(PluginContract):
    plugin = "azure"
    block_examples = {
        "azure-blob-storage-credentials": STORAGE,
        "azure-blob-storage-container": {"container_name": "reports", "base_folder": "f", "credentials": STORAGE},
        "azure-cosmos-db-credentials": {"connection_string": "AccountEndpoint=https://one.documents.azure.com:443/;AccountKey=dmVyeS1wcml2YXRl;"},
        "azureml-credentials": ML,
        "azure-container-instance-credentials": PRINCIPAL,
        "azuredevops-credentials": {"token": "very-private-token"},
        "azure-devops-repository": {
            "repository": "https://dev.azure.com/myorg/myproject/_git/myrepo",
            "credentials": {"token": "very-private-token"},
        },
    }
    job_variables = {"azure-container-instance": {"resource_group_name": "group", "subscription_id": "subscription-one"}}


def test_pools_made_without_the_plugin_begin_with_its_template() -> None:
    known = json.loads(WORKER_TYPES.read_text(encoding="utf-8"))["headrace-azure"]["azure-container-instance"]
    assert known["default_base_job_configuration"] == AzureContainerWorker.get_default_base_job_template()
