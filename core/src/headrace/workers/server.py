"""Front desk: the health endpoint of a worker."""

from headrace.deploy.workers.utilities import build_healthcheck_server, start_healthcheck_server

__all__ = ["build_healthcheck_server", "start_healthcheck_server"]
