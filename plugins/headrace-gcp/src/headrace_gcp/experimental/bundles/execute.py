"""The older place of `headrace_gcp.bundles.execute`."""

from headrace_gcp.bundles.execute import execute_bundle_from_gcs, main

__all__ = ["execute_bundle_from_gcs", "main"]

if __name__ == "__main__":
    main()
