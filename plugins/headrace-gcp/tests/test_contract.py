"""The shape of the plugin."""

from __future__ import annotations

from headrace.testing import PluginContract

CREDENTIALS = {"service_account_info": {"private_key": "very-private-key", "client_email": "flows@p.iam.gserviceaccount.com"}, "project": "guide"}


class TestContract(PluginContract):
    plugin = "gcp"
    block_examples = {
        "gcp-credentials": CREDENTIALS,
        "bigquery-warehouse": {"gcp_credentials": CREDENTIALS},
        "gcpsecret": {"gcp_credentials": CREDENTIALS, "secret_name": "login"},
        "gcs-bucket": {"bucket": "b", "bucket_folder": "f", "gcp_credentials": CREDENTIALS},
    }
    job_variables = {"vertex-ai": {"region": "europe-west1", "image": "an/image:1"}}
