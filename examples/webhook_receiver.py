#!/usr/bin/env python3
"""Receives what a webhook sends, and believes only what is signed with its secret.

    export WEBHOOK_SECRET=$(bugle webhooks create mine orders http://127.0.0.1:8000/)
    python3 examples/webhook_receiver.py 8000

A server that is to talk to 127.0.0.1 has to allow it: `bugle serve --set webhooks.allow=127.0.0.1`.
"""

import base64
import hashlib
import hmac
import http.server
import os
import sys
import time

TOLERANCE = 300  # seconds that a request may be old, against replays


def is_signed(secret: str, headers, body: bytes) -> bool:
    """Whether one of the signatures is right, and made a short time ago."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) <= TOLERANCE
    return is_fresh and any(hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split())


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: set[str] = set()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not is_signed(os.environ["WEBHOOK_SECRET"], self.headers, body):
            return self.answer(401)
        if self.headers["bugle-discontinuity"]:
            print("missing:", self.headers["bugle-discontinuity"], flush=True)
        # At least once: what was seen before is acknowledged again and not used again.
        if self.headers["webhook-id"] not in self.seen:
            self.seen.add(self.headers["webhook-id"])
            print(self.headers["ce-type"], body.decode(errors="replace"), flush=True)
        self.answer(204)

    def answer(self, status: int):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
