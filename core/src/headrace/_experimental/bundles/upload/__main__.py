"""`python -m headrace._experimental.bundles.upload`: see `headrace.deploy.bundles.folder`."""

from headrace._experimental.bundles.upload import upload

if __name__ == "__main__":
    upload()
