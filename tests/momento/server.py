"""A Bugle of its own for the tests of Momento's libraries: on free ports, ended with its test."""

import base64
import json
import pathlib
import subprocess
import tempfile

BUGLE = pathlib.Path(__file__).resolve().parents[2] / "target" / "debug" / "bugle"

POLICIES = """
[auth]
enabled = true
keys_file = "{keys}"

[[policies]]
principal = "key:root"
namespace = "*"
actions = ["publish", "subscribe", "admin"]
"""


class Server:
    """`bugle serve`, with a listener as the local providers want it."""

    def __init__(self, *arguments, port=0, guarded=False):
        self.folder = tempfile.TemporaryDirectory()
        self.key, self.arguments = "", list(arguments)
        if guarded:
            keys = pathlib.Path(self.folder.name) / "keys.json"
            made = [BUGLE, "keys", "create", "root", "--file", keys]
            self.key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
            config = pathlib.Path(self.folder.name) / "bugle.toml"
            config.write_text(POLICIES.format(keys=keys))
            self.arguments += ["--config", str(config)]
        self.port = port
        self.start()

    def start(self):
        momento = ["--momento", f"127.0.0.1:{self.port}"]
        command = [BUGLE, "serve", "--listen", "127.0.0.1:0", "--metrics", "off", *momento, *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.main = self.process.stdout.readline().split()[-1]
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def restart(self):
        self.stop()
        self.start()

    def publish(self, cache, topic, text, *more):
        """With Bugle's own command line."""
        command = [BUGLE, "publish", f"--server=http://{self.main}", f"--namespace={cache}", *more, topic, text]
        subprocess.run(command, check=True, capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()


def v1_key(key, endpoint):
    """A key as their libraries want one that says where the server is."""
    return base64.b64encode(json.dumps({"endpoint": endpoint, "api_key": key}).encode()).decode()


if __name__ == "__main__":
    # For tests in other languages: says where it is, restarts on a line, and ends with its input.
    import sys

    with Server("--namespace", "kept", guarded="--guarded" in sys.argv) as server:
        print(json.dumps({"port": server.port, "main": server.main, "key": server.key}), flush=True)
        for line in sys.stdin:
            if line.strip() == "restart":
                server.restart()
                print(json.dumps({"port": server.port, "main": server.main, "key": server.key}), flush=True)
