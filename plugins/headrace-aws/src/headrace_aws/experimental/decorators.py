"""The older home of `headrace_aws.decorators`."""

from headrace_aws.decorators import ecs

__all__ = ["ecs"]
