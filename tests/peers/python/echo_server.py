"""A `websockets` echo server as a process of its own; prints its port."""

import asyncio

from harness import echo
from websockets.asyncio.server import serve


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
