"""The older home of `headrace_aws.bundles.execute`; it is a command too."""

from headrace_aws.bundles.execute import DownloadResult, download_bundle_from_s3, execute_bundle_from_s3, main

__all__ = ["DownloadResult", "download_bundle_from_s3", "execute_bundle_from_s3", "main"]

if __name__ == "__main__":
    main()
