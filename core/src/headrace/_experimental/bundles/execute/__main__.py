"""`python -m headrace._experimental.bundles.execute`: see `headrace.deploy.bundles.folder`."""

from headrace._experimental.bundles.execute import execute

if __name__ == "__main__":
    execute()
