"""A receiver of OTLP that keeps what it is sent: gRPC and HTTP, plain or over TLS.

tests/deploy has a server push to it what deploy/README.md promises. Nothing is decoded: names and
texts stand in the requests as they are. Needs grpcio.
"""

import contextlib
import gzip
import http.server
import ssl
import tempfile
import threading
from concurrent import futures

import grpc


class Request:
    """One request: its path, its headers in lower case, its body, and whether that was compressed (over HTTP)."""

    def __init__(self, path, headers, body, is_compressed):
        self.path, self.headers, self.body = path, headers, body
        self.is_compressed = is_compressed

    def __repr__(self):
        return f"{self.path} {self.headers} {len(self.body)} bytes"


class Receiver:
    """Listens on a free port of the loopback address until it is stopped; `url` is where.

    `certificate` is a pair of PEM texts, key and chain: with it the receiver speaks TLS alone.
    """

    def __init__(self, is_grpc=True, certificate=None):
        self.requests = []
        scheme = "https" if certificate else "http"
        port, self.stop = (self.serve_grpc if is_grpc else self.serve_http)(certificate)
        self.url = f"{scheme}://localhost:{port}"

    def bodies(self):
        return b"".join(request.body for request in list(self.requests))

    def serve_grpc(self, certificate):
        receiver = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, call):
                def answer(body, context):
                    headers = dict(call.invocation_metadata)
                    # Whether it was compressed the library does not tell.
                    receiver.requests.append(Request(call.method, headers, body, None))
                    return b""
                return grpc.unary_unary_rpc_method_handler(answer)

        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers([Handler()])
        if certificate:
            port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([certificate]))
        else:
            port = server.add_insecure_port("localhost:0")
        server.start()
        return port, lambda: server.stop(None)

    def serve_http(self, certificate):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                is_compressed = headers.get("content-encoding") == "gzip"
                body = gzip.decompress(body) if is_compressed else body
                receiver.requests.append(Request(self.path, headers, body, is_compressed))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that does not like the certificate goes away."""

        server = Server(("localhost", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with pem_files(certificate) as (key, chain):
                context.load_cert_chain(chain, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1], server.shutdown


@contextlib.contextmanager
def pem_files(certificate):
    """The ssl module reads certificates from files alone."""
    with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as chain:
        for file, text in zip((key, chain), certificate):
            file.write(text)
            file.flush()
        yield key.name, chain.name
