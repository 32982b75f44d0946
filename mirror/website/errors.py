"""Errors of the public site; the tree is drawn in mirror/website/__init__.py."""

from __future__ import annotations

from mirror.errors import MirrorError


class PublishError(MirrorError):
    """The site could not be built or put in place."""


class LibrariesMissing(PublishError):
    """The extra `[site]` is not installed."""


class BuildFailed(PublishError):
    """MkDocs refused the pages."""


class NotOurs(PublishError):
    """The folder to publish to holds something that `publish` did not put there."""
