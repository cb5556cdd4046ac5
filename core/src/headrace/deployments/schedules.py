"""Front desk: schedules as they are sent to the server."""

from headrace.deploy.schedules import create_deployment_schedule_create, normalize_to_deployment_schedule

__all__ = ["create_deployment_schedule_create", "normalize_to_deployment_schedule"]
