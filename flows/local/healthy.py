"""`python -m flows.local.healthy URL`: exit 0 if GET URL returns 200, else 1.

The containers' health check: the image has neither curl nor wget.
"""

from __future__ import annotations

import sys
from urllib.error import URLError
from urllib.request import urlopen


def main(url: str) -> int:
    """0 if url returns 200 within 4 s, else 1 with the reason on stderr."""
    try:
        with urlopen(url, timeout=4) as response:  # noqa: S310 - the address is the operator's
            return 0 if response.status == 200 else 1
    except (URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
