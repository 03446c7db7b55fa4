"""Answers each message with itself, after its own name: `feed: hello`."""

import asyncio
import os
import signal

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PORT = int(os.environ.get("PORT", "8080"))


async def answer(connection):
    request = connection.request
    print(f"feed: {request.headers.get('X-Forwarded-For')} came to {request.path}")
    try:
        async for message in connection:
            await connection.send(message if isinstance(message, bytes) else f"feed: {message}")
    except ConnectionClosed:
        pass


def choose(connection, offered):
    return "feed.v1" if "feed.v1" in offered else None


async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve(answer, "", PORT, subprotocols=["feed.v1"], select_subprotocol=choose):
        print(f"feed: listening on {PORT}")
        await stopped.wait()


asyncio.run(main())
