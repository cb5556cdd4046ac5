"""Front desk: `python -m headrace._experimental.bundles.upload`, for bundles in a shared folder."""

from headrace.deploy.bundles.folder import upload

__all__ = ["upload"]
