"""A judge's server on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.judge_server import Script


@pytest.fixture()
def serve() -> Iterator[Any]:
    """A real HTTP server on loopback that follows a script."""
    servers = []

    def start(*turns: Any) -> tuple[str, Script]:
        script = Script(list(turns))

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                script.seen.append(json.loads(self.rfile.read(size)))
                script.times.append(time.monotonic())
                turn = script.turns.pop(0) if len(script.turns) > 1 else script.turns[0]
                status, body = (200, turn) if not isinstance(turn, tuple) else turn
                if status == "hang":
                    time.sleep(body)
                    return
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status != 200:
                    self.send_header("retry-after-ms", "5")
                self.end_headers()
                self.wfile.write(data)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/v1", script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
