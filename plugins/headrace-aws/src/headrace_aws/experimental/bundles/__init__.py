"""The older home of `headrace_aws.bundles`."""
