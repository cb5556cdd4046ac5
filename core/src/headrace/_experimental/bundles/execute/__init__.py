"""Front desk: `python -m headrace._experimental.bundles.execute`, for bundles in a shared folder."""

from headrace.deploy.bundles.folder import execute

__all__ = ["execute"]
