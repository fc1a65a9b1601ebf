"""A plain file server that understands single byte ranges, where no nginx is installed.

    origin.py DIRECTORY

Prints the port that it got, then serves until it is ended.
"""

import http.server
import os
import re
import sys
from email.utils import formatdate

PIECE = 256 * 1024


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        name = os.path.basename(self.path.split("?")[0])
        try:
            file = open(os.path.join(self.server.directory, name), "rb")
        except OSError:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with file:
            status = os.fstat(file.fileno())
            tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            first, end, partial = self.part(status.st_size, tag)
            if first is None:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{status.st_size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{status.st_size}")
            self.send_header("Content-Length", str(end - first))
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
            self.send_header("Cache-Control", "max-age=3600")
            self.end_headers()
            if with_body:
                self.send_part(file, first, end)

    def part(self, size, tag):
        """First byte, end, and whether that is a part; no first byte when there is no such part."""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked or asked[0] == "bytes=-" or self.headers.get("If-Range", tag) != tag:
            return 0, size, False
        if not asked[1]:
            return max(0, size - int(asked[2])), size, True
        first = int(asked[1])
        end = min(int(asked[2]) + 1, size) if asked[2] else size
        return (first, end, True) if first < end else (None, None, True)

    def send_part(self, file, first, end):
        file.seek(first)
        while first < end:
            piece = file.read(min(PIECE, end - first))
            self.wfile.write(piece)
            first += len(piece)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients leave; that is no news."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Files)
    server.directory = sys.argv[1]
    print(server.server_port, flush=True)
    server.serve_forever()
