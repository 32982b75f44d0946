"""The record becomes the public site: static pages in Chinese and English.

`read` asks the record bounded questions, `judge` says what a mirror is worth right now, `pages`
writes the Markdown that MkDocs turns into HTML, `build` runs it and `place` swaps the finished
folder in, so that a reader never sees half a site. Nothing here knows Prefect.

PublishError           exit 1: the site could not be built or put in place
├── BuildFailed        MkDocs refused the pages; names the first complaint
└── NotOurs            the folder holds something that `publish` did not put there
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
