"""The older place of `headrace_gcp.bundles.upload`."""

from headrace_gcp.bundles.upload import UploadBundleToGcsOutput, main, upload_bundle_to_gcs

__all__ = ["UploadBundleToGcsOutput", "main", "upload_bundle_to_gcs"]

if __name__ == "__main__":
    main()
