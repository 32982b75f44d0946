"""The public site, built from the history: static pages in Chinese and English.

`load` asks the history bounded questions, `health` judges each mirror, `pages`
writes the Markdown that MkDocs turns into HTML, `build` runs it and `swap` puts the finished
folder in place, so that readers never see half a site. Building it needs the extra `[site]`.

PublishError           exit 1: the site could not be built or put in place
├── LibrariesMissing   the extra `[site]` is not installed; names the command that installs it
├── BuildFailed        MkDocs refused the pages; names the first complaint
└── NotOurs            the folder holds something that `publish` did not put there
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
