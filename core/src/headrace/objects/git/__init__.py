"""Git repositories: cloning them, and blocks that bring their files."""
