"""A mailbox for tests: as much of an IMAP4rev1 server (RFC 3501) as Python's client needs to read and mark messages."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """The messages of a folder, and which of them were read."""

    messages: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    url: str = ""

    def answer(self, command: str, words: str) -> tuple[bytes, str]:
        """Return (untagged data, the tagged answer) to one command."""
        if command == "CAPABILITY":
            return b"* CAPABILITY IMAP4rev1\r\n", "OK done"
        if command == "LOGIN":
            return b"", "OK done" if words == 'bounces "pass word"' else "NO wrong"
        if command == "SELECT":
            return f"* {len(self.messages)} EXISTS\r\n".encode(), "OK [READ-WRITE] done"
        if words.startswith("SEARCH"):
            unread = [str(uid) for uid in range(1, len(self.messages) + 1) if uid not in self.seen]
            return f"* SEARCH {' '.join(unread)}\r\n".encode(), "OK done"
        uid = int(re.findall(r"\d+", words)[0]) if words else 0
        if words.startswith("FETCH"):
            content = self.messages[uid - 1]
            head = f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(content)}}}\r\n".encode()
            return head + content + b")\r\n", "OK done"
        if words.startswith("STORE"):
            self.seen.add(uid)
        return b"", "OK done"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Serve a mailbox on this machine."""
    box = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline().decode().strip():
                tag, command, words = [*line.split(" ", 2), "", ""][:3]
                data, said = box.answer(command.upper(), words)
                self.wfile.write(data + f"{tag} {said}\r\n".encode())
                if command.upper() == "LOGOUT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        box.url = f"imap://bounces:pass%20word@127.0.0.1:{server.server_address[1]}/INBOX"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box
        server.shutdown()
