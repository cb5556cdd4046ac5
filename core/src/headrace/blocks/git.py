"""What blocks for git repositories are written with."""

from headrace.objects.git.block import GitRepositoryBlock
from headrace.objects.git.clones import Login, Repository, Wanted, repository_at, url_with_login

__all__ = ["GitRepositoryBlock", "Login", "Repository", "Wanted", "repository_at", "url_with_login"]
