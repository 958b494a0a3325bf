"""A TCP proxy before the tests' database: closed, it is a database that is away; it can lose one answer as well."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

from django.db import connection


class Door:
    """Passes on what clients and the server say, until it is closed."""

    def __init__(self, server: str) -> None:
        self.server = server  # the path of a Unix socket, or host:port
        self.port = 0
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lost: list[tuple[bytes, bool]] = []
        self._lock = threading.Lock()

    def open(self) -> None:
        """Let clients in, on the same port each time."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse new clients and cut off the present ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            pairs, self._pairs = self._pairs, []
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for pair in pairs:
            _cut(pair)

    def lose(self, word: bytes, *, answer_only: bool = False) -> None:
        """Cut off the next client that says this word, before the server hears it, or before it hears the answer."""
        self._lost.append((word, answer_only))

    def loses(self) -> bool:
        """Whether a word of `lose` is still to come."""
        return bool(self._lost)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                pair = (client, self._reach_server())
                with self._lock:
                    if self._listener is not listener:
                        _cut(pair)
                        return
                    self._pairs.append(pair)
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _reach_server(self) -> socket.socket:
        if self.server.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.server)
            return server
        host, _colon, port = self.server.rpartition(":")
        return socket.create_connection((host, int(port)))

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    said = source.recv(65536)
                    if not said:
                        raise OSError
                    if source is client and self._is_lost(said, server):
                        raise OSError
                    (server if source is client else client).sendall(said)
        _cut((client, server))

    def _is_lost(self, said: bytes, server: socket.socket) -> bool:
        for lost in list(self._lost):
            word, answer_only = lost
            if word in said:
                self._lost.remove(lost)
                if answer_only:
                    server.sendall(said)
                    server.recv(65536)
                return True
        return False


def _cut(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextlib.contextmanager
def a_door() -> Iterator[Door]:
    """Put a door between this process and its database; it is open at first."""
    own = connection.settings_dict
    before = {name: own[name] for name in ("HOST", "PORT")}
    host, port = str(own["HOST"]), str(own["PORT"] or 5432)
    door = Door(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}")
    door.open()
    connection.close()
    own.update(HOST="127.0.0.1", PORT=str(door.port))
    try:
        yield door
    finally:
        connection.close()
        own.update(before)
        door.close()
