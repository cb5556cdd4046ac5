"""Code in Git repositories of Azure DevOps.

AzureDevopsRepository(repository="https://dev.azure.com/myorg/myproject/_git/myrepo", reference="develop").save("my-repository")
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from headrace.blocks.git import GitRepositoryBlock, Repository, Wanted, repository_at
from headrace_azure.credentials import AzureDevopsCredentials


class AzureDevopsRepository(GitRepositoryBlock):
    """A Git repository of Azure DevOps, whose files `get_directory` brings.

    Example:
        ```python
        from headrace_azure import AzureDevopsCredentials, AzureDevopsRepository

        private = AzureDevopsRepository(
            repository="https://dev.azure.com/myorg/myproject/_git/myrepo", credentials=AzureDevopsCredentials.load("my-organization")
        )
        private.save("my-private-repository")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Azure DevOps Repository"
    _block_type_slug: ClassVar[str | None] = "azure-devops-repository"

    repository: str = Field(description="The repository's address, as https://dev.azure.com/myorg/myproject/_git/myrepo.")
    reference: str | None = Field(default=None, description="The branch or tag to clone; by default the repository's own main branch.")
    git_depth: int | None = Field(default=1, ge=1, description="How many commits are fetched; none for the whole history.")
    credentials: AzureDevopsCredentials | None = Field(default=None, description="The credentials for a repository that is not public.")

    def remote(self) -> Repository:
        """See `GitRepositoryBlock.remote`."""
        return repository_at(_without_organization(self.repository), credentials=self.credentials)

    def wanted(self) -> Wanted:
        """See `GitRepositoryBlock.wanted`."""
        return Wanted(branch=self.reference, depth=self.git_depth)


def _without_organization(url: str) -> str:
    """Return an address without the organization's name where a login would stand: Azure DevOps shows https://myorg@dev.azure.com/myorg/…"""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    is_organization = bool(at) and parts.path.startswith(f"/{user}/")
    return urlunsplit(parts._replace(netloc=host)) if is_organization else url
