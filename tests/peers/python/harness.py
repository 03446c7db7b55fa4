"""Starts wsgate, `websockets` servers and pywebsocket3 for one test case, and ends them with it."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

LISTENER = '[[listeners]]\nname = "public"\naddress = "127.0.0.1:0"\n'
HANDLERS = pathlib.Path(__file__).parent / "handlers"
LIMIT = 30


class Process:
    """A child process whose lines are kept, and that is killed by its id in the end."""

    def __init__(self, child):
        self.child = child
        self.lines = []
        self._grown = asyncio.Event()
        self._readers = [asyncio.create_task(self._read(s)) for s in (child.stdout, child.stderr)]

    @classmethod
    async def start(cls, *command, environment=None):
        pipe = asyncio.subprocess.PIPE
        env = {**os.environ, **(environment or {})}
        return cls(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, limit=1 << 20, env=env))

    async def _read(self, stream):
        async for line in stream:
            self.lines.append(line.decode(errors="replace").rstrip())
            self._grown.set()
        self._grown.set()

    async def find(self, look, what):
        """The first true `look(line)`, of lines past or to come."""
        seen = 0
        async with asyncio.timeout(LIMIT):
            while True:
                while seen < len(self.lines):
                    seen += 1
                    if found := look(self.lines[seen - 1]):
                        return found
                if all(reader.done() for reader in self._readers):
                    raise AssertionError(f"the process ended without {what}:\n" + "\n".join(self.lines))
                self._grown.clear()
                await self._grown.wait()

    async def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        await self.child.wait()
        await asyncio.gather(*self._readers)


def event_of(line):
    """The event that a line of the log tells."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event | event.pop("fields", {})


def listening(line):
    """The port in a `listening` event."""
    event = event_of(line)
    return int(event["address"].rpartition(":")[2]) if event.get("message") == "listening" else None


class PeerCase(unittest.IsolatedAsyncioTestCase):
    """What it starts ends with the test, in reverse order."""

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="wsgate-peers-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    async def process(self, *command, environment=None):
        process = await Process.start(*map(str, command), environment=environment)
        self.addAsyncCleanup(process.stop)
        return process

    async def gateway(self, toml, files=None, environment=None):
        """Starts wsgate; returns the port of its listener."""
        folder = self.wsgate_folder = self.folder()
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        listener = "" if "[[listeners]]" in toml else LISTENER
        (folder / "wsgate.toml").write_text(f'[log]\nformat = "json"\n\n{listener}\n{toml}')
        self.wsgate = await self.process(os.environ["WSGATE_BIN"], "run", folder / "wsgate.toml", environment=environment)
        return await self.wsgate.find(listening, "a listener")

    async def logged(self, message, times=1):
        """Waits until wsgate has logged `message` so many times, and returns the last of these events."""
        seen = 0

        def look(line):
            nonlocal seen
            event = event_of(line)
            seen += event.get("message") == message
            return event if seen == times else None

        return await self.wsgate.find(look, f"`{message}`, {times} times")

    async def server(self, handler=None, **options):
        """A `websockets` server; returns its port and a queue of its connections."""
        sessions = asyncio.Queue()

        async def handle(connection):
            sessions.put_nowait(connection)
            await (handler or echo)(connection)

        server = await serve(handle, "127.0.0.1", 0, max_size=None, **options)

        async def stop():
            server.close()
            await server.wait_closed()

        self.addAsyncCleanup(stop)
        return server.sockets[0].getsockname()[1], sessions

    async def pywebsocket(self):
        """pywebsocket3's standalone server; returns its port."""
        peer = await self.process(
            sys.executable, "-m", "pywebsocket3.standalone", "-H", "127.0.0.1", "-p", "0",
            "-d", HANDLERS, "-w", HANDLERS, "--log-level", "info")
        port = await peer.find(lambda line: re.search(r"Port (\d+) is assigned", line), "a port")
        return int(port.group(1))


async def echo(connection):
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def wait_closed(connection):
    await connection.wait_closed()


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder, name):
    """Makes ca.pem, and server.pem with server.key for `name`."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=wsgate test CA",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl(folder, "req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (folder / "extensions").write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\n")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", "server.pem")
