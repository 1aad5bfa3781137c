"""A free loopback port that nobody else is given meanwhile."""

from __future__ import annotations

import socket


def reserve_port() -> int:
    """Give a free port of 127.0.0.1 that the kernel hands to no other asker for about a minute.

    A port merely seen to be free may go to somebody else before it is used. So a connection is made to it and
    closed, accepting side first: that leaves the port in TIME_WAIT, where the kernel does not choose it for
    anybody, while a server that asks for it by number (with SO_REUSEADDR, as all do) gets it.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)  # the other side has closed: the TIME_WAIT is the server's
    return port


def is_taken(port: int) -> bool:
    """Say whether somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
