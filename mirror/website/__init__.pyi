from .build import build_site as build_site
from .errors import (
    BuildFailed as BuildFailed,
    LibrariesMissing as LibrariesMissing,
    NotOurs as NotOurs,
)
from .extra import INSTALL as INSTALL, missing_libraries as missing_libraries
from .publish import (
    ADDRESS_ENV as ADDRESS_ENV,
    Published as Published,
    publish_site as publish_site,
    site_address as site_address,
    site_folder_of_environment as site_folder_of_environment,
)
from .swap import METRICS_FILE as METRICS_FILE, publish_to as publish_to
