#!/usr/bin/env python3
"""Send lines as frames, one after the other, and wait for the ACK of each.

usage: frame_client ADDRESS PORT

Protocol: FRAME/1, see frame_protocol.py. Sends HELLO, then a DATA for each line of the input, then
GOODBYE; each only when the one before has been acknowledged. Prints ``ack SEQ`` for each ACK.

What it shows: every answer is read, also those that nobody is curious about. One that is left
unread is taken for the next, and at the end close() turns it into an RST.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from frame_protocol import (
    ACK,
    DATA,
    ERROR,
    GOODBYE,
    HELLO,
    MAX_PAYLOAD,
    BrokenFrameError,
    Frame,
    FrameBuffer,
    pack_frame,
)

GREETING = b"Hello from client!"


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def endpoint(arguments: list[str]) -> tuple[str, int]:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    if len(arguments) != 2:
        print("usage: frame_client ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    address, port = arguments
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 0 to 65535')
    return address, int(port)


class Conversation:
    """A connection on which each frame is answered before the next is sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = FrameBuffer()
        self.next_seq = 1

    def tell(self, kind: int, payload: bytes = b"") -> None:
        """Send a frame and wait for its ACK."""
        seq = self.next_seq
        self.next_seq = (seq + 1) % 2**32
        with calling("send"):
            self.connection.sendall(pack_frame(Frame(kind, seq, payload)))
        answer = self.receive()
        if answer.type == ERROR:
            text = answer.payload.decode("latin-1").encode("unicode_escape").decode()
            sys.exit(f"error: server: {text}")
        if answer.type != ACK:
            sys.exit(f"error: recv: type {answer.type} instead of an ACK")
        say(f"ack {seq}")

    def receive(self) -> Frame:
        """Return the next frame, however many recv() it takes."""
        while True:
            try:
                frame = self.received.take()
            except BrokenFrameError as reason:
                sys.exit(f"error: recv: {reason}")
            if frame is not None:
                return frame
            with calling("recv"):
                data = self.connection.recv(65536)
            if not data:
                sys.exit("error: recv: the server closed the connection")
            self.received.put(data)


def main(arguments: list[str]) -> None:
    server = endpoint(arguments)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        with calling("connect"):
            sock.connect(server)
        conversation = Conversation(sock)
        conversation.tell(HELLO, GREETING)
        while line := sys.stdin.buffer.readline():
            line = line.removesuffix(b"\n")
            if len(line) > MAX_PAYLOAD:
                sys.exit(f"error: line: longer than {MAX_PAYLOAD} bytes")
            conversation.tell(DATA, line)
        conversation.tell(GOODBYE)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
