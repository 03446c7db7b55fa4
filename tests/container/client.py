"""A client on Python `websockets`: says hello, tells what comes back, stays, and tells how it ends."""

import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

with connect(sys.argv[1]) as connection:
    connection.send("hello")
    try:
        while True:
            print(f"answered: {connection.recv()}", flush=True)
    except ConnectionClosed as closed:
        print(f"closed: {closed.rcvd and closed.rcvd.code}")
