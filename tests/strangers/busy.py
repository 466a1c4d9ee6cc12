"""A server in front of another: 429, then 503, then 408 to a call that it has carried out all the same.

After that it passes everything on. Usage: busy.py URL
"""

import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

calls = []


def problem(code, status):
    text = f'{{"type":"/problems/{code}","title":"Wait","status":{status},"detail":""}}'
    return status, text.encode()


class Busy(BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        calls.append(time.monotonic())
        if len(calls) == 1:
            return self.answer(*problem("party-limit", 429), Retry_After="3")
        if len(calls) == 2:
            if calls[1] - calls[0] < 3:
                return self.answer(400, b"came back before the time that was named")
            return self.answer(*problem("busy", 503), Retry_After="1")
        request = urllib.request.Request(
            sys.argv[1] + self.path, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as passed:
            answer = passed.status, passed.read()
        self.answer(*(problem("too-slow", 408) if len(calls) == 3 else answer))

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Busy)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
