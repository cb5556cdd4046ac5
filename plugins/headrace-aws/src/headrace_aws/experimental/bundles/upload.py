"""The older home of `headrace_aws.bundles.upload`; it is a command too."""

from headrace_aws.bundles.upload import UploadResult, main, upload_bundle_to_s3

__all__ = ["UploadResult", "main", "upload_bundle_to_s3"]

if __name__ == "__main__":
    main()
