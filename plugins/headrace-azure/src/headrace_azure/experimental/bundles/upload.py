"""The older place of `headrace_azure.bundles.upload`."""

from headrace_azure.bundles.upload import UploadBundleToAzureBlobStorageOutput, main, upload_bundle_to_azure_blob_storage

__all__ = ["UploadBundleToAzureBlobStorageOutput", "main", "upload_bundle_to_azure_blob_storage"]

if __name__ == "__main__":
    main()
