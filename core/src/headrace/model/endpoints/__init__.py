"""The endpoint table: every route of the API, once, as data. One file per noun holds the constants.

The server turns it into routes, the HTTP client into requests, the embedded client into calls of operations.
"""

from headrace.model.endpoints.base import Endpoint

__all__ = ["Endpoint"]
