"""Front desk: errors."""

from headrace.model.errors import *  # noqa: F403
