"""A TCP proxy that is as bad as a network can be: it delays, cuts connections, brings nothing on."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time


class FaultyProxy:
    """Passes on to a port of this machine; `delay_s`: how long each piece is held up."""

    def __init__(self, port: int, target: int, seed: int = 1) -> None:
        self.delay_s, self.port = 0.0, port
        self.cuts = self.swallowed = 0
        self._target = target
        self._chance = random.Random(seed)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallowing: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self, share: float = 0.5) -> None:
        """Cut each connection with this probability."""
        with self._lock:
            cut = [pair for pair in self._pairs if self._chance.random() < share]
            self._pairs = [pair for pair in self._pairs if pair not in cut]
        self.cuts += len(cut)
        for pair in cut:
            _hang_up(pair)

    def swallow(self) -> None:
        """Pass nothing on any more of the connections that there are, and leave them open; new ones work."""
        with self._lock:
            self._swallowing.update(end for pair in self._pairs for end in pair)
            self.swallowed += len(self._pairs)

    def stop(self) -> None:
        """Cut everything, and let nobody in."""
        self._stopping.set()
        self._listener.close()
        self.cut(1.1)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5.0)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._lock:
                self._pairs.append(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self._pass_on, args=(one, other, pair), daemon=True).start()

    def _pass_on(
        self, one: socket.socket, other: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65_536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if one not in self._swallowing:
                    other.sendall(piece)
        with self._lock:
            if pair in self._pairs:
                self._pairs.remove(pair)
        _hang_up(pair)


def _hang_up(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
