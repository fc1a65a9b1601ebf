"""Has a headless browser play a film, seek in it and play on.

    browser.py BROWSER FILM_URL

Serves player.html on a port of its own, to which the page reports; prints the report and ends
with 0 when the film was played, 1 when it was not.
"""

import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse

LIMIT_SECONDS = 60
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = pathlib.Path(__file__).with_name("player.html").read_bytes()


class Stage(http.server.BaseHTTPRequestHandler):
    """Gives out the page, takes its report."""

    def do_GET(self):
        found = self.path.startswith("/player.html")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(PAGE)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.server.report = json.loads(self.rfile.read(min(length, 65536)))
        self.send_response(204)
        self.end_headers()
        self.server.reported.set()

    def log_message(self, *_):
        pass


def main(browser, film):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stage)
    server.report = {"outcome": "failed", "reason": "the page said nothing in time"}
    server.reported = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    query = urllib.parse.urlencode({"film": film})
    page = f"http://127.0.0.1:{server.server_port}/player.html?{query}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [browser, *FLAGS, f"--user-data-dir={profile}", page],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            server.reported.wait(LIMIT_SECONDS)
        finally:
            # A browser is a family of processes: the session that was opened for it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    print(json.dumps(server.report))
    return 0 if server.report.get("outcome") == "played" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
