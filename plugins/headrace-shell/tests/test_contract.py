"""What headrace expects of every plugin."""

from headrace.testing import PluginContract


class TestContract(PluginContract):
    plugin = "shell"
    block_examples = {"shell-operation": {"commands": ["cd /tmp", "ls"], "env": {"A": "b"}, "working_dir": "data"}}
