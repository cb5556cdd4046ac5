"""Steps that are useful while a deployment is built, pushed or pulled."""

from headrace.deploy.steps.shell import RunShellScriptResult, pip_install_requirements, run_shell_script

__all__ = ["RunShellScriptResult", "pip_install_requirements", "run_shell_script"]
