"""A small S3 server: HEAD, GET with ranges, and ListObjectsV2 on objects in memory, for known keys only."""

import contextlib
import http.server
import re
import threading
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ACCESS_KEY = "AKIDFTKITTEST"
LIST = "<ListBucketResult><Name>{bucket}</Name><KeyCount>{number}</KeyCount>"
DATE = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
OBJECT = f"<Contents><Key>{{key}}</Key>{DATE}<Size>{{size}}</Size></Contents>"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as S3 does, path style: /bucket/key."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        split = urlsplit(self.path)
        name, query = unquote(split.path).lstrip("/"), parse_qs(split.query)
        self.server.requests.append((self.command, name))
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
            self.fail(403, "AccessDenied")
        elif "list-type" in query:
            self.list_objects(name.rstrip("/"), query)
        elif name not in self.server.objects:
            self.fail(404, "NoSuchKey")
        else:
            self.send_object(self.server.objects[name])

    def fail(self, status, code):
        self.send(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def list_objects(self, bucket, query):
        start = f"{bucket}/{query.get('prefix', [''])[0]}"
        found = {name: data for name, data in sorted(self.server.objects.items()) if name.startswith(start)}
        objects = (
            OBJECT.format(key=escape(name.removeprefix(f"{bucket}/")), size=len(data))
            for name, data in found.items()
        )
        text = LIST.format(bucket=bucket, number=len(found)) + "".join(objects) + "</ListBucketResult>"
        self.send(200, text.encode())

    def send_object(self, data):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            self.send(200, data, total=len(data))
            return
        first, last = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
        place = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self.send(206, data[first : last + 1], headers=place)

    def send(self, status, body, *, total=None, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if total is None else total))
        self.send_header("Last-Modified", formatdate(self.server.modified, usegmt=True))
        self.send_header("ETag", f'"{hash(body)}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cuts and status in (200, 206):
            self.wfile.write(body[: len(body) // 2])  # and hangs up in the middle of the object
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@contextlib.contextmanager
def serve_s3(objects):
    """Serve objects, `bucket/key` -> bytes; yields the server with `address`, `requests` and `cuts`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.objects, server.requests, server.cuts, server.modified = dict(objects), [], False, 1.7e9
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
