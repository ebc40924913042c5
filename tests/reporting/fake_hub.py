"""The part of the hub's HTTP API that an upload uses, on loopback."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

TOKEN = "hf_secret_of_nobody"


class Hub:
    """What the hub was asked, and what it has."""

    def __init__(self):
        self.url = ""
        self.repos, self.files, self.stored = {}, {}, {}
        self.refuse = None
        """(part of the path, status): requests that are refused."""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def read(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self):  # noqa: N802 - the name that http.server calls
        content = self.read()
        self.hub.stored[hashlib.sha256(content).hexdigest()] = content
        self.answer({})

    def do_GET(self):  # noqa: N802 - the name that http.server calls
        self.answer({"error": "nothing to see"}, 404)

    def do_POST(self):  # noqa: N802 - the name that http.server calls
        body = self.read()
        refuse = self.hub.refuse
        if refuse and refuse[0] in self.path:
            self.answer({"error": f"no: {self.headers['Authorization']}"}, refuse[1])
        elif self.path != "/api/validate-yaml" and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer({"error": "who are you"}, 401)
        else:
            next(answer for part, answer in ROUTES.items() if part in self.path)(self, body.decode())

    def validate(self, body):
        """Check what the hub's documentation asks of a model-index; see hub-docs, modelcard.md."""
        content = json.loads(body)["content"]
        data = yaml.safe_load(re.match(r"---\n(.*?)\n---", content, re.DOTALL)[1])
        for result in data["model-index"][0]["results"]:
            whole = result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
            if not whole or not all("type" in one and "value" in one for one in result["metrics"]):
                return self.answer({"errors": ["model-index"]}, 400)
        return self.answer({"errors": [], "warnings": []})

    def create(self, body):
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        self.hub.repos.setdefault(name, asked)
        self.answer({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def choose(self, body):
        asked = json.loads(body)
        modes = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith("safetensors") else "regular",
                "shouldIgnore": False,
            }
            for one in asked["files"]
        ]
        self.answer({"files": modes})

    def plan(self, body):
        asked = json.loads(body)
        objects = [
            {"oid": one["oid"], "size": one["size"],
             "actions": {"upload": {"href": f"{self.hub.url}/store/{one['oid']}", "header": {}}}}
            for one in asked["objects"]
        ]  # fmt: skip
        self.answer({"transfer": "basic", "objects": objects})

    def commit(self, body):
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.stored[value["oid"]]
        name = self.path.partition("/api/models/")[2].partition("/commit/")[0]
        self.answer({"success": True, "commitOid": "abc", "commitUrl": f"{self.hub.url}/{name}/commit/abc"})


ROUTES = {
    "/api/validate-yaml": Handler.validate,
    "/api/repos/create": Handler.create,
    "/info/lfs/objects/batch": Handler.plan,
    "/preupload/": Handler.choose,
    "/commit/": Handler.commit,
}
"""Part of the path -> who answers."""


@contextmanager
def open_fake_hub():
    """Serve a hub until the body ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
