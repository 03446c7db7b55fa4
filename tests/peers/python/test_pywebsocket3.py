"""pywebsocket3's standalone echo server behind wsgate, with a `websockets` client."""

import os
import unittest

from harness import PeerCase
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


class PyWebSocket3(PeerCase):
    async def asyncSetUp(self):
        self.upstream = await self.pywebsocket()
        self.port = await self.gateway(f"""
            [[routes]]
            path = "/tests/*"
            strip_prefix = "/tests"
            compression = "passthrough"
            upstream = "ws://127.0.0.1:{self.upstream}"

            [[routes]]
            upstream = "ws://127.0.0.1:{self.upstream}"
            """)

    def session(self, path="/echo", **options):
        return connect(f"ws://127.0.0.1:{self.port}{path}", max_size=None, **{"compression": None, **options})

    async def test_messages(self):
        async with self.session() as client:
            for message in ["", "grüße 🙂", b"", os.urandom(125), os.urandom(126), os.urandom(70_000), "x" * (1 << 20)]:
                await client.send(message)
                self.assertTrue(await client.recv() == message)
            await client.send(iter(["a ", "b ", "ç"]))
            self.assertEqual(await client.recv(), "a b ç")

    async def test_ping(self):
        async with self.session() as client:
            await (await client.ping(b"payload"))

    async def test_close_of_the_client(self):
        async with self.session() as client:
            await client.close(4000, "done")
        self.assertEqual((client.close_code, client.close_reason), (4000, "done"))

    async def test_close_of_the_upstream(self):
        async with self.session() as client:
            await client.send("close 4002 enough of it")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
        self.assertEqual((client.close_code, client.close_reason), (4002, "enough of it"))

    async def test_subprotocol(self):
        async with self.session(subprotocols=["one", "two"]) as client:
            self.assertEqual(client.subprotocol, "one")

    async def test_compression(self):
        async with self.session("/tests/echo", compression="deflate") as client:
            self.assertIn("permessage-deflate", client.response.headers["Sec-WebSocket-Extensions"])
            await client.send("over and over " * 10_000)
            self.assertEqual(await client.recv(), "over and over " * 10_000)

    async def test_unknown_path_is_its_own_404(self):
        with self.assertRaises(InvalidStatus) as refused:
            async with self.session("/nowhere"):
                pass
        self.assertEqual(refused.exception.response.status_code, 404)


if __name__ == "__main__":
    unittest.main()
