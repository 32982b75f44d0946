"""A web server for a built site, as any static host: gzip where there is a .gz sibling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # the base's name
        """Keep quiet."""


@contextmanager
def served(folder: Path, base: str = "") -> Iterator[str]:
    """Serve `folder` under `/base` on a free port of loopback; gives its address with a slash."""
    handler = partial(_Prefixed, base=base, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{base}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Prefixed(_Handler):
    def __init__(self, *args: object, base: str, **kwargs: object) -> None:
        self._base = f"/{base}"
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they came

    def translate_path(self, path: str) -> str:
        """The file below the folder; outside the base there is none."""
        if not path.startswith(self._base):
            return str(Path(self.directory) / "absent")
        return super().translate_path("/" + path.removeprefix(self._base))
