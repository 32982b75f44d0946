"""The record becomes the public site: static pages in Chinese and English.

`read` asks the record bounded questions, `judge` says what a mirror is worth right now, `pages`
writes the Markdown that MkDocs turns into HTML, `build` runs it and `place` swaps the finished
folder in, so that a reader never sees half a site. Nothing here knows Prefect.

PublishError           exit 1: the site could not be built or put in place
├── BuildFailed        MkDocs refused the pages; names the first complaint
└── NotOurs            the folder holds something that `publish` did not put there
"""

from __future__ import annotations

from mirror.website.build import build_site
from mirror.website.errors import BuildFailed, NotOurs, PublishError
from mirror.website.site_data import SiteRecord
from mirror.website.swap import publish_to

__all__ = ["BuildFailed", "NotOurs", "PublishError", "SiteRecord", "build_site", "publish_to"]
