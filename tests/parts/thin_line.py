"""A network between a client and a server of this machine: as thin, cut or dead as a test wants."""

import socket
import threading
import time
from contextlib import suppress

_PIECES_PER_S = 20
_LITTLE = 8 * 1024


class ThinLine:
    """Passes TCP connections on to a port; the way up has a rate.

    Attributes:
        port: Where clients connect.
        sent_up: Bytes that clients sent, and that arrived.
        bytes_per_s: Of the way up; None: as fast as it goes. May change at any time.
        frozen: Whether nothing passes, in either direction, while all connections stand.
        is_down: Whether a connection is closed as soon as it is made.
    """

    def __init__(self, server_port: int, bytes_per_s: float | None = None) -> None:
        self.bytes_per_s = bytes_per_s
        self.sent_up = 0
        self.connections = 0
        self.frozen = False
        self.is_down = False
        self._server_port = server_port
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        # What waits in the buffers of a proxy is sent, but has not arrived: keep it small.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LITTLE)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> "ThinLine":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.frozen = False
        self.bytes_per_s = None
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """End every connection that stands."""
        with self._lock:
            opened, self._open = self._open, []
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.is_down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open += [client, server]
            ends = [client, server]
            for source, target, up in ((client, server, True), (server, client, False)):
                thread = threading.Thread(
                    target=self._pass_on, args=(source, target, ends, up), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, ends: list[socket.socket], up: bool
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(self._piece(up)):
                while self.frozen:
                    time.sleep(0.02)
                if up:
                    self._wait_for_turn(len(piece))
                    self.sent_up += len(piece)
                target.sendall(piece)
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            ends.append(source)
            if len(ends) == 4:  # both directions have ended
                for each in ends[:2]:
                    each.close()

    def _piece(self, up: bool) -> int:
        rate = self.bytes_per_s
        return 65536 if not up or rate is None else max(256, int(rate / _PIECES_PER_S))

    def _wait_for_turn(self, size: int) -> None:
        """Let every connection of the line share its rate."""
        rate = self.bytes_per_s
        if rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size / rate
            wait = self._free_at - now
        time.sleep(wait)
