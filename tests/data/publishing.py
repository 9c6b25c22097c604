"""A server on this machine that can do what servers on the way do to a download."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """One file. What it does to the requests it gets can be set for each of them in turn."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"one"'
        self.ranges = True
        self.length = True
        self.breaks: list[int] = []
        """After so many bytes of an answer, for one request each."""
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Status and headers, for one request each."""
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(dict(self.headers))
                server._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/xrays.npz?download=1"

    def close(self) -> None:
        """Nobody listens any more. May be called again."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        if self.refusals:
            status, headers = self.refusals.pop(0)
            to.send_response(status)
            for name, value in headers.items():
                to.send_header(name, value)
            to.end_headers()
            return
        start, asked = 0, to.headers.get("Range")
        if asked and self.ranges and to.headers.get("If-Range", self.etag) == self.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(self.content):
            to.send_response(416)
            to.end_headers()
            return
        to.send_response(206 if start else 200)
        if start:
            size = len(self.content)
            to.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.length:
            to.send_header("Content-Length", str(len(self.content) - start))
        if self.etag:
            to.send_header("ETag", self.etag)
        to.end_headers()
        end = start + self.breaks.pop(0) if self.breaks else len(self.content)
        to.wfile.write(self.content[start:end])
