"""What headrace expects of every plugin."""

from headrace.testing import PluginContract


class TestContract(PluginContract):
    plugin = "docker"
    block_examples = {
        "docker-host": {"base_url": "tcp://127.0.0.1:1234", "max_pool_size": 4, "client_kwargs": {"user_agent": "tests"}},
        "docker-registry-credentials": {"username": "me", "password": "registry-word-1", "registry_url": "registry.example.com"},
    }
