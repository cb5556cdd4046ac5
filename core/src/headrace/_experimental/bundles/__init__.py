"""Front desk: bundles of flows."""

from headrace.deploy.bundles.files import collect_files, unpack_files
from headrace.deploy.bundles.packing import (
    BundleCreationResult,
    SerializedBundle,
    convert_step_to_command,
    create_bundle_for_flow_run,
    execute_bundle_from_file,
    execute_bundle_in_subprocess,
    extract_flow_from_bundle,
    upload_bundle_to_storage,
)
from headrace.deploy.bundles.submission import BundleLauncher

__all__ = [
    "BundleCreationResult",
    "BundleLauncher",
    "SerializedBundle",
    "collect_files",
    "convert_step_to_command",
    "create_bundle_for_flow_run",
    "execute_bundle_from_file",
    "execute_bundle_in_subprocess",
    "extract_flow_from_bundle",
    "unpack_files",
    "upload_bundle_to_storage",
]
