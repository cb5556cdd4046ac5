"""Front desk: how code that is written once serves blocking and async callers."""

from headrace.client.bridge import blocking, in_blocking_run
from headrace.objects.offload import offload

__all__ = ["blocking", "in_blocking_run", "offload"]
