"""Cloud Storage: `GcsBucket`, and tasks for single objects."""

from __future__ import annotations

from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from headrace.blocks.object_stores import ObjectStoreBlock
from headrace.utilities.asyncutils import twins
from headrace_gcp.credentials import GcpCredentials
from headrace_gcp.storage_driver import GcsDriver
from headrace_gcp.storage_tasks import (
    acloud_storage_create_bucket,
    acloud_storage_download_blob_as_bytes,
    acloud_storage_download_blob_to_file,
    acloud_storage_upload_blob_from_file,
    acloud_storage_upload_blob_from_string,
    cloud_storage_copy_blob,
    cloud_storage_create_bucket,
    cloud_storage_download_blob_as_bytes,
    cloud_storage_download_blob_to_file,
    cloud_storage_upload_blob_from_file,
    cloud_storage_upload_blob_from_string,
)

if TYPE_CHECKING:
    from google.cloud.storage import Blob
    from google.cloud.storage.bucket import Bucket
    from pandas import DataFrame

__all__ = [
    "DataFrameSerializationFormat",
    "GcpCredentials",
    "GcsBucket",
    "acloud_storage_create_bucket",
    "acloud_storage_download_blob_as_bytes",
    "acloud_storage_download_blob_to_file",
    "acloud_storage_upload_blob_from_file",
    "acloud_storage_upload_blob_from_string",
    "cloud_storage_copy_blob",
    "cloud_storage_create_bucket",
    "cloud_storage_download_blob_as_bytes",
    "cloud_storage_download_blob_to_file",
    "cloud_storage_upload_blob_from_file",
    "cloud_storage_upload_blob_from_string",
]

_SUFFIXES = (".csv", ".gz", ".gzip", ".parquet", ".snappy")


class DataFrameSerializationFormat(Enum):
    """How `GcsBucket.upload_from_dataframe` writes a frame: format, compression, content type, suffix."""

    CSV = ("csv", None, "text/csv", ".csv")
    CSV_GZIP = ("csv", "gzip", "application/x-gzip", ".csv.gz")
    PARQUET = ("parquet", None, "application/octet-stream", ".parquet")
    PARQUET_SNAPPY = ("parquet", "snappy", "application/octet-stream", ".snappy.parquet")
    PARQUET_GZIP = ("parquet", "gzip", "application/octet-stream", ".gz.parquet")

    @property
    def format(self) -> str:
        """`csv` or `parquet`."""
        return self.value[0]

    @property
    def compression(self) -> str | None:
        """`gzip`, `snappy`, or None."""
        return self.value[1]

    @property
    def content_type(self) -> str:
        """What the object is stored as."""
        return self.value[2]

    @property
    def suffix(self) -> str:
        """What the object's name ends with."""
        return self.value[3]

    def fix_extension_with(self, gcs_blob_path: str) -> str:
        """Return a path with this format's suffix in the place of the one it has: `a/data.csv.gz` may become `a/data.parquet`."""
        folder, slash, name = gcs_blob_path.rpartition("/")
        plain = name
        while plain.lower().endswith(_SUFFIXES) and plain.rpartition(".")[0]:
            plain = plain.rpartition(".")[0]
        if plain == name and "." in name.lstrip("."):
            plain = name.rpartition(".")[0]
        return f"{folder}{slash}{plain}{self.suffix}"


class GcsBucket(ObjectStoreBlock):
    """A Cloud Storage bucket, or a folder of one. Paths are relative to the folder; a leading `/` starts at the top of the bucket."""

    _block_type_name: ClassVar[str | None] = "GCS Bucket"

    bucket: str = Field(description="Name of the bucket.", min_length=1)
    gcp_credentials: GcpCredentials = Field(default_factory=GcpCredentials, description="The credentials to authenticate with GCP.")
    bucket_folder: str = Field(default="", description="A default path to a folder within the GCS bucket to use for reading and writing objects.")

    @field_validator("bucket_folder")
    @classmethod
    def _ends_in_a_slash(cls, value: str) -> str:
        return value if not value or value.endswith("/") else f"{value}/"

    @property
    def basepath(self) -> str:
        """The folder that paths are relative to."""
        return self.bucket_folder

    @property
    def container(self) -> str:
        """The bucket's name."""
        return self.bucket

    def open_driver(self) -> GcsDriver:
        """Make what talks to the bucket."""
        return GcsDriver(self.gcp_credentials.get_cloud_storage_client(), self.bucket, self.gcp_credentials.account)

    def create_bucket(self, location: str | None = None, **create_kwargs: Any) -> Bucket:
        """Create the bucket and return it. `create_kwargs` go to the SDK's `Client.create_bucket`. Raises its `Conflict` when the name is taken."""
        self.logger.info("Creating bucket %r.", self.bucket)
        return self._ask(lambda key: self._gcs.client.create_bucket(self.bucket, location=location, **self._gcs.limits(create_kwargs)), "")

    def get_bucket(self) -> Bucket:
        """Return the SDK's bucket. Raises `ObjectStoreError` when there is none, or when it may not be seen."""
        return self._ask(lambda key: self._gcs.client.get_bucket(self.bucket, **self._gcs.limits()), "")

    def list_blobs(self, folder: str = "") -> list[Blob]:
        """Return the SDK's blobs in a folder of the block's folder, at any depth; marks of folders are left out."""
        prefix = self.prefix_of(folder)
        found = self._ask(lambda key: list(self._gcs.client.list_blobs(self.bucket, prefix=prefix or None, **self._gcs.limits())), prefix)
        return [blob for blob in found if not str(blob.name).endswith("/")]

    def list_folders(self, folder: str = "") -> list[str]:
        """Return every folder below a folder of the block's folder that holds objects, at any depth, as whole keys without a final `/`."""
        prefix = self.prefix_of(folder)
        found: set[str] = set()
        for one in self._ask(lambda key: list(self._gcs.list(prefix)), prefix):
            parts = one.key[len(prefix) :].split("/")[:-1]
            found.update(prefix + "/".join(parts[: end + 1]) for end in range(len(parts)))
        base = prefix.rstrip("/")
        return sorted(found | ({base} if base and found else set()))

    def upload_from_dataframe(
        self,
        df: DataFrame,
        to_path: str,
        serialization_format: str | DataFrameSerializationFormat = DataFrameSerializationFormat.CSV_GZIP,
        **upload_kwargs: Any,
    ) -> str:
        """Upload a pandas DataFrame and return its whole key; the suffix of `to_path` becomes that of the format.

        `serialization_format`: csv, csv_gzip, parquet, parquet_snappy or parquet_gzip. Raises `ValueError` for another one.
        """
        how = _format(serialization_format)
        content = BytesIO()
        frame: Any = df  # pandas' annotations list every compression
        if how.format == "csv":
            frame.to_csv(content, compression=how.compression, index=False)
        else:
            frame.to_parquet(content, compression=how.compression)
        content.seek(0)
        return self.upload_from_file_object(content, how.fix_extension_with(to_path), **{"content_type": how.content_type, **upload_kwargs})

    create_bucket, acreate_bucket = twins(create_bucket)
    get_bucket, aget_bucket = twins(get_bucket)
    list_blobs, alist_blobs = twins(list_blobs)
    list_folders, alist_folders = twins(list_folders)
    upload_from_dataframe, aupload_from_dataframe = twins(upload_from_dataframe)

    @property
    def _gcs(self) -> GcsDriver:
        driver = self.driver
        assert isinstance(driver, GcsDriver)
        return driver


def _format(given: str | DataFrameSerializationFormat) -> DataFrameSerializationFormat:
    if isinstance(given, DataFrameSerializationFormat):
        return given
    try:
        return DataFrameSerializationFormat[given.upper()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in DataFrameSerializationFormat)
        raise ValueError(f"There is no format {given!r} for data frames. There are {names}.") from None
