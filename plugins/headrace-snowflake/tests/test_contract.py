"""What headrace expects of every plugin."""

from headrace.testing import PluginContract

CREDENTIALS = {"account": "nh12345.us-east-2", "user": "marvin", "password": "paranoid-android", "role": "analyst"}


class TestContract(PluginContract):
    plugin = "snowflake"
    block_examples = {
        "snowflake-credentials": CREDENTIALS,
        "snowflake-connector": {"credentials": CREDENTIALS, "database": "guide", "warehouse": "compute_wh", "schema": "public"},
    }
