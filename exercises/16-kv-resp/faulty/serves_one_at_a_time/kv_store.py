#!/usr/bin/env python3
"""Keep keys and values for clients that speak the protocol of redis, all in one thread.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 6379)

Protocol: RESP2, see resp_protocol.py; the commands are PING, ECHO, SET, GET, DEL, EXISTS, DBSIZE and
QUIT. After a command whose end cannot be found the server answers with an error and closes; after
any other error it goes on. Prints ``READY``, then for each client ``accepted A:P`` and ``closed A:P:
REASON``.

What it shows: who speaks a protocol that others speak can be talked to with programs that others
wrote, and measured with them too. They send what you did not think of.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE

from resp_protocol import BrokenStreamError, CommandBuffer, error, number, string, text

Store = dict[bytes, bytes]

READ_SIZE = 16384

# No more answers are made for a client that has so many bytes to take. Its requests stay where
# they are, at last in its own kernel, and then its send() waits: TCP's flow control, used.
MAX_UNSENT = 65536

# Each has a descriptor, and a process has 1024 of them. Others wait in the accept queue.
MAX_CLIENTS = 1000


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


def carry_out(words: list[bytes], store: Store) -> bytes:
    """Carry out one command; return the answer."""
    name, *arguments = words
    # redis does not care how the name is written; keys and values are as they are.
    match name.upper(), arguments:
        case b"PING", []:
            return text("PONG")
        case ((b"PING" | b"ECHO"), [message]):
            return string(message)
        case b"SET", [key, value]:
            store[key] = value
            return text("OK")
        case b"GET", [key]:
            return string(store.get(key))
        case b"DEL", [_, *_]:
            return number(sum(store.pop(key, None) is not None for key in arguments))
        case b"EXISTS", [_, *_]:
            return number(sum(key in store for key in arguments))
        case b"DBSIZE", []:
            return number(len(store))
        case ((b"PING" | b"ECHO" | b"SET" | b"GET" | b"DEL" | b"EXISTS" | b"DBSIZE"), _):
            return error(f"wrong number of arguments for '{name.decode().lower()}' command")
        case _:
            # repr(): an error is one line, and the name may hold anything.
            return error(f"unknown command {repr(name[:64])[1:]}")


class Client:
    """One connection, and how far it has come. No method of it waits."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.connection = connection
        self.peer = peer
        self.received = CommandBuffer()
        self.unsent = b""
        self.reason = ""  # why no more commands are carried out; empty while they are
        self.has_finished = False  # its FIN has come
        connection.setblocking(False)

    def events(self) -> int:
        """Return what to wait for; 0 when there is nothing left to do."""
        if self.has_finished:
            return EVENT_WRITE if self.unsent else 0
        # Asking for EVENT_WRITE with nothing to write would not let the loop sleep: a socket can
        # be written nearly always. The same goes for EVENT_READ with no wish to read.
        return (EVENT_WRITE if self.unsent else 0) | (
            EVENT_READ if len(self.unsent) < MAX_UNSENT else 0
        )

    def receive(self) -> None:
        """Take what has come, with one recv(): a second one might have to wait."""
        received = self.connection.recv(READ_SIZE)
        if not received:
            self.has_finished = True
        elif not self.reason:
            self.received.put(received)
        # After QUIT or an error the rest is read and forgotten: close() with bytes unread would send
        # RST, which may overtake the last answer.

    def advance(self, store: Store) -> None:
        """Carry out commands and send answers, until one of the two cannot go on."""
        while True:
            self.answer(store)
            if not self.unsent:
                break
            try:
                sent = self.connection.send(self.unsent)
            except BlockingIOError:
                return  # the client's buffer and ours are full; the rest goes when it has read
            self.unsent = self.unsent[sent:]  # it may be less than all
        if self.reason and not self.has_finished:
            self.connection.shutdown(socket.SHUT_WR)

    def answer(self, store: Store) -> None:
        """Turn commands into answers, as long as there are not too many of those."""
        while not self.reason and len(self.unsent) < MAX_UNSENT:
            try:
                words = self.received.take()
            except BrokenStreamError as problem:
                self.reason = f"Protocol error: {problem}"
                self.unsent += error(self.reason)
                return
            if words is None:
                return
            if words[0].upper() == b"QUIT":
                self.reason = "QUIT"
                self.unsent += text("OK")
                return
            self.unsent += carry_out(words, store)


def serve_all(listener: socket.socket) -> None:
    """Serve one client after the other, for ever."""
    store: Store = {}
    while True:
        connection, (address, port) = listener.accept()
        client = Client(connection, f"{address}:{port}")
        # The mistake: who is connected meanwhile waits until this client has left.
        connection.setblocking(True)
        with connection:
            try:
                while not client.has_finished:
                    client.receive()
                    client.advance(store)
            except OSError as problem:
                print(problem, file=sys.stderr)


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "6379"][len(arguments) :]
    wanted = endpoint(address, port)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(512)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        serve_all(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
