"""The web server of examples/guestbook.yaml: answers with a greeting, its version and its pod's name.

usage: guestbook_server.py VERSION; it listens on POD_IP:8080 and ends at SIGTERM when its open requests are answered.
"""
from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = {"greeting": os.environ.get("GREETING", ""), "version": sys.argv[1], "pod": os.environ.get("POD_NAME", "")}
        body = b"ok" if self.path == "/healthz" else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if self.path == "/healthz" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path != "/healthz":
            print("answered", self.path, flush=True)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128


def main() -> None:
    server = Server((os.environ.get("POD_IP", "127.0.0.1"), 8080), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    main()
