"""Runs containers the way `docker/compose.yaml` says, for as long as a test lasts.

What the compose file says of a service (image, files, limits, what it may not do) becomes arguments of `podman run`; its
network is the host's, with ports that are free.
"""

import contextlib
import functools
import json
import os
import pathlib
import queue
import random
import shlex
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import yaml

CHECKOUT = pathlib.Path(os.environ["WSGATE_CHECKOUT"])
COMPOSE = yaml.safe_load((CHECKOUT / "docker/compose.yaml").read_text())
PODMAN = shlex.split(os.environ["WSGATE_PODMAN"])
PATIENCE = 30
# Where engines may not raise limits these must be named.
LIMITS = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1000:1000"]
HARDENED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges", *LIMITS]


def podman(*arguments):
    """What podman says to that."""
    done = subprocess.run([*PODMAN, *arguments], capture_output=True, text=True, timeout=PATIENCE + 60)
    if done.returncode:
        raise AssertionError(f"podman {shlex.join(arguments)}: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def first_ephemeral():
    """From here on the kernel gives ports to whoever dials."""
    span = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    return int(span.split()[0])


def free_port(given=set()):
    """One that nobody has, and that nobody who dials can get before the container listens on it."""
    end = first_ephemeral()
    while True:
        port = random.randrange(end // 2, end)
        if port in given:
            continue
        with contextlib.suppress(OSError), listen(port):
            given.add(port)
            return port


def listen(port):
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def seconds(duration):
    """`30s` or `1m` of a compose file or a configuration."""
    number, unit = duration[:-1], duration[-1]
    return int(number) * {"s": 1, "m": 60}[unit]


class Process:
    """A child whose lines are kept and can be waited for."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                      text=True, errors="replace")
        self.lines = []
        self._coming = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self._coming.put(line.rstrip())
        self._coming.put(None)

    def find(self, look, what):
        """The first true `look(line)` of lines past or to come."""
        for line in self.lines:
            if found := look(line):
                return found
        while True:
            try:
                line = self._coming.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no {what} in:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if found := look(line):
                return found

    def says(self, line):
        """Waits for exactly this line."""
        self.find(lambda said: said == line, f"`{line}`")

    def accepts(self, port):
        """Waits until somebody listens there, and it has not ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.child.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(0.05)
        raise AssertionError(f"nobody listens on {port}")

    def ended(self):
        """The exit code."""
        code = self.child.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.child.stdout.close()
        return code


class Container(Process):
    """`podman run`, attached to what it prints."""

    def __init__(self, folder, image, *command, options=()):
        self._id = pathlib.Path(folder, f"{image}-{os.urandom(4).hex()}")
        super().__init__([*PODMAN, "run", "--rm", "--cidfile", str(self._id), "--network", "host", *options,
                          f"localhost/{image}", *command])

    @functools.cached_property
    def id(self):
        return self._id.read_text().strip()

    @functools.cached_property
    def pid(self):
        """Of its first process, as the host counts."""
        return int(podman("inspect", "--format", "{{.State.Pid}}", self.id))

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def event(self, message, **fields):
        """The fields of the first event of that name in its log."""
        def look(line):
            try:
                event = json.loads(line)
            except ValueError:
                return None
            event |= event.pop("fields", {})
            fits = all(event.get(name) == value for name, value in fields.items())
            return event if event.get("message") == message and fits else None
        return self.find(look, f"`{message}` {fields or ''}")

    def stop(self, grace=30):
        """As `docker stop` does; returns the exit code."""
        podman("stop", "--time", str(grace), self.id)
        return self.ended()

    def remove(self):
        if self.child.poll() is None:
            podman("rm", "--force", "--time", "0", self.id)
        self.child.kill()
        self.ended()


class ContainerCase(unittest.TestCase):
    """What a test starts ends with it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="wsgate-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # The user of the container reads what is mounted from here.
        self.folder.chmod(0o755)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def run_image(self, image, *command, options=()):
        container = Container(self.folder, image, *command, options=options)
        self.addCleanup(container.remove)
        return container

    def gateway(self, toml=None, *, options=(), mounts=None, environment=None):
        """A hardened wsgate with this configuration, or its own; waits until it listens."""
        options = [*HARDENED, *options]
        if toml is not None:
            mounts = {self.write("wsgate.toml", toml): "/etc/wsgate/wsgate.toml", **(mounts or {})}
        for here, there in (mounts or {}).items():
            options += ["--volume", f"{here}:{there}:ro"]
        for name, value in (environment or {}).items():
            options += ["--env", f"{name}={value}"]
        container = self.run_image("wsgate", options=options)
        container.event("listening")
        return container

    def client(self, url, ca=None, language="node"):
        """A client on Node `ws` or Python `websockets`, in a container of its own, that trusts this certificate."""
        image, command, name = {"node": ("chat", "node", "client.mjs"), "python": ("feed", "python3", "client.py")}[language]
        options = [*HARDENED, "--volume", f"{CHECKOUT}/tests/container/{name}:/app/{name}:ro"]
        if ca:
            options += ["--volume", f"{ca}:/ca.pem:ro", "--env", "NODE_EXTRA_CA_CERTS=/ca.pem"]
        return self.run_image(image, command, name, url, options=options)

    def service(self, name, environment, *hosts):
        """A service of the compose file, with all that is said of it there."""
        said = COMPOSE["services"][name]
        options = [*LIMITS]
        if said["read_only"]:
            options += ["--read-only", "--read-only-tmpfs=false"]
        for capability in said["cap_drop"]:
            options += ["--cap-drop", capability]
        for option in said["security_opt"]:
            options += ["--security-opt", option.removesuffix(":true")]
        for volume in said.get("volumes", []):
            options += ["--volume", str(CHECKOUT / "docker" / volume)]
        for key, value in environment.items():
            options += ["--env", f"{key}={value}"]
        for host in hosts:
            options += ["--add-host", f"{host}:127.0.0.1"]
        return self.run_image(name, options=options)
