"""Beginning projects."""

from headrace.deploy.project.init import configure_project_by_recipe, create_default_headrace_yaml, initialize_project

__all__ = ["configure_project_by_recipe", "create_default_headrace_yaml", "initialize_project"]
