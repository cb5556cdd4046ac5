"""Steps that bring a flow's code to where it runs."""

from headrace.deploy.steps.git import agit_clone, git_clone
from headrace.deploy.steps.pull import pull_from_remote_storage, pull_with_block, set_working_directory

__all__ = ["agit_clone", "git_clone", "pull_from_remote_storage", "pull_with_block", "set_working_directory"]
