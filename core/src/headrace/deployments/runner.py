"""Front desk: deployments as code describes them."""

from headrace.deploy.deploying import adeploy, deploy
from headrace.deploy.deployments import RunnerDeployment
from headrace.model.entrypoints import EntrypointType
from headrace.model.errors import DeploymentApplyError

__all__ = ["DeploymentApplyError", "EntrypointType", "RunnerDeployment", "adeploy", "deploy"]
