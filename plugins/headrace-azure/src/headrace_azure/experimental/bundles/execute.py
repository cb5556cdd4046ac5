"""The older place of `headrace_azure.bundles.execute`."""

from headrace_azure.bundles.execute import execute_bundle_from_azure_blob_storage, main

__all__ = ["execute_bundle_from_azure_blob_storage", "main"]

if __name__ == "__main__":
    main()
