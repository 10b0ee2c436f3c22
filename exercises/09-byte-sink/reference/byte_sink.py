#!/usr/bin/env python3
"""Take TCP through its stages one system call at a time, so that each can be looked at.

usage: byte_sink [ADDRESS [PORT]]        (0.0.0.0 8080)

Reads one command a line and answers each with one line:

    b      bind                     BOUND ADDRESS:PORT
    l N    listen, backlog N        LISTENING N
    a      accept a connection      ACCEPTED ADDRESS:PORT    (waits for one)
    r N    receive up to N bytes    RECEIVED COUNT, or EOF   (waits for some)
    c      close the connection     CLOSED
    q      quit, as does the end of the input

An empty line takes the step that comes next; at a terminal a prompt names it. An accept or recv
that fails is answered ``ERROR accept EINVAL``; a command that makes no sense now, ``ERROR`` and the
reason. When bind or listen fails nothing is left to do: ``error: bind: EADDRINUSE (...)``, exit 1.

Watch with ``ss -tan`` and tcpdump: before listen a SYN is refused; after it the kernel completes
handshakes and takes in bytes by itself; accept and recv put nothing on the wire.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CALLS = {"b": "bind", "l": "listen", "a": "accept", "r": "recv", "c": "close", "q": "quit"}


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


def endpoint(address: str, port: str) -> tuple[str, int]:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 0 to 65535')
    return address, int(port)


def is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


class Sink:
    """The listening socket, and at most one connection."""

    def __init__(self, wanted: tuple[str, int]) -> None:
        self.wanted = wanted
        with calling("socket"):
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # The end that closes first stays in TIME_WAIT for a minute and keeps the port taken.
        # SO_REUSEADDR lets a restarted server bind beside that; never beside a live one.
        with calling("setsockopt"):
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.connection: socket.socket | None = None
        self.next_step = "b"

    def obey(self, words: list[str]) -> str:
        """Carry out one command and return the answer."""
        try:
            match words:
                case ["b"]:
                    return self.bind()
                case ["l", number] if is_count(number):
                    return self.listen(int(number))
                case ["a"]:
                    return self.accept()
                case ["r", number] if is_count(number) and int(number) > 0:
                    return self.receive(int(number))
                case ["c"]:
                    return self.close()
                case _:
                    return "ERROR commands: b, l N, a, r N, c, q"
        except OSError as error:
            # The program goes on: after a reset (ECONNRESET), say, the next client can come.
            if self.connection:
                self.next_step = "c"
            return f"ERROR {CALLS[words[0]]} {errno.errorcode.get(error.errno or 0)}"

    def bind(self) -> str:
        with calling("bind"):
            self.listener.bind(self.wanted)
        self.next_step = "l 1"
        address, port = self.listener.getsockname()
        return f"BOUND {address}:{port}"

    def listen(self, backlog: int) -> str:
        # The kernel keeps backlog + 1 finished handshakes for accept(). The next SYN is dropped
        # without an answer: the client believes it lost, and sends it again a second later.
        with calling("listen"):
            self.listener.listen(backlog)
        self.next_step = "a"
        return f"LISTENING {backlog}"

    def accept(self) -> str:
        if self.connection:
            return "ERROR still connected: c first"
        self.connection, (address, port) = self.listener.accept()
        self.next_step = "r 16"
        return f"ACCEPTED {address}:{port}"

    def receive(self, size: int) -> str:
        if not self.connection:
            return "ERROR not connected: a first"
        received = self.connection.recv(size)
        # TCP is a stream of bytes: how many recv() returns says nothing about how many the peer
        # wrote at once. None at all is the end: the peer sent FIN, and everything before it is
        # read. (That is why nobody may ask for 0 bytes: the answer would look like the end.)
        if not received:
            self.next_step = "c"
            return "EOF"
        if sys.stdin.isatty():
            print(received, file=sys.stderr)
        return f"RECEIVED {len(received)}"

    def close(self) -> str:
        if not self.connection:
            return "ERROR not connected: a first"
        # Sends FIN; or RST if received bytes were never read, as they are lost for good.
        self.connection.close()
        self.connection = None
        self.next_step = "a"
        return "CLOSED"


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: byte_sink [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    address, port = arguments + ["0.0.0.0", "8080"][len(arguments) :]
    sink = Sink(endpoint(address, port))
    at_terminal = sys.stdin.isatty()
    while True:
        if at_terminal:
            call = CALLS[sink.next_step[0]]
            print(f"[Enter = {sink.next_step}, {call}] ", end="", file=sys.stderr, flush=True)
        with calling("read"):
            line = sys.stdin.buffer.readline()
        words = line.decode("ascii", "replace").split() or sink.next_step.split()
        if not line or words == ["q"]:
            return
        say(sink.obey(words))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
