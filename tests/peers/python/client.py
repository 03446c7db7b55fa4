"""One session of a `websockets` client: URL, CA file, Origin, subprotocol or `-`, message; prints what came back."""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect


async def main(url, ca, origin, subprotocol, message):
    offered = None if subprotocol == "-" else [subprotocol]
    trust = ssl.create_default_context(cafile=ca)
    async with connect(url, ssl=trust, origin=origin, subprotocols=offered) as client:
        await client.send(message)
        print(client.subprotocol or "-", await client.recv())


asyncio.run(main(*sys.argv[1:]))
