"""Front desk: the types of work pools and the templates that they begin with."""

from headrace.deploy.workers.utilities import get_available_work_pool_types, get_default_base_job_template_for_infrastructure_type

__all__ = ["get_available_work_pool_types", "get_default_base_job_template_for_infrastructure_type"]
