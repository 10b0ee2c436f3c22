#!/usr/bin/env python3
"""Keep keys and values for clients that come over TCP, one client after the other.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 8085)

Protocol: KV/1, see kv_protocol.py. After a request whose end cannot be found (line too long, PUT
without a proper length, value without LF) the server answers ERR and closes; after any other error
it goes on. Prints ``READY``, then for each client ``accepted A:P``, a line for each request, and
``closed A:P: REASON``.

What it shows: an iterative server. While it serves one client the kernel goes on completing
handshakes and taking in bytes for the others; they are connected, they may send, and they wait.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kv_protocol import BrokenStreamError, StreamReader, is_key, parse_length

Store = dict[bytes, bytes]


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


def answer(line: bytes, reader: StreamReader, store: Store) -> bytes:
    """Carry out one request; return the answer without its last LF."""
    match line.split(b" "):
        case [b"PUT", key, length_text] if (length := parse_length(length_text)) is not None:
            # The value is read before the key is judged: if it stayed in the stream it would
            # be taken for the next request.
            value = reader.read_value(length)
            if not is_key(key):
                return b"ERR bad key"
            store[key] = value
            return b"OK"
        case [b"PUT", *_]:
            raise BrokenStreamError("PUT takes a key and a length from 0 to 4096")
        case [b"GET" | b"DEL", key] if not is_key(key):
            return b"ERR bad key"
        case [b"GET" | b"DEL", key] if key not in store:
            return b"NOTFOUND"
        case [b"GET", key]:
            return b"VALUE %d\n%b" % (len(store[key]), store[key])
        case [b"DEL", key]:
            del store[key]
            return b"OK"
        case [b"COUNT"]:
            return b"COUNT %d" % len(store)
        case _:
            return b"ERR unknown request"


def converse(connection: socket.socket, store: Store) -> str:
    """Serve one client to the end; return why it ended."""
    reader = StreamReader(connection)
    try:
        while (line := reader.read_line()) is not None and line != b"QUIT":
            reply = answer(line, reader, store)
            # repr(): what a client sent may hold anything, also commands for the terminal.
            say(f"{repr(line)[2:-1]} -> {reply.split()[0].decode()}")
            connection.sendall(reply + b"\n")
        reason = "end of the stream" if line is None else "QUIT"
    except BrokenStreamError as error:
        reason = f"ERR {error}"
        connection.sendall(f"{reason}\n".encode())
    finish(connection)
    return reason


def finish(connection: socket.socket) -> None:
    """Send FIN, and let the client finish: close() with bytes unread would send RST.

    The RST would overtake our last answer, and the client would read ECONNRESET in its place.
    """
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + 1  # a client that never stops sending gets its RST after all
    while (left_s := deadline - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            if not connection.recv(65536):
                return
        except TimeoutError:
            return


def serve(listener: socket.socket) -> None:
    """Take one client after the other, for ever. The store outlives each of them."""
    store: Store = {}
    while True:
        with calling("accept"):
            connection, (address, port) = listener.accept()
        say(f"accepted {address}:{port}")
        with connection:
            try:
                reason = converse(connection, store)
            except OSError as error:
                # The client closed without reading its answers. The first one we send brings
                # back RST, the second raises SIGPIPE, and a C program that does not ignore
                # the signal dies of it. Python ignores it, so that here it is an error like
                # any other: EPIPE or ECONNRESET. It ends this client, not the server.
                reason = f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})"
        say(f"closed {address}:{port}: {reason}")
        return  # the mistake: there is no second client


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8085"][len(arguments) :]
    wanted = endpoint(address, port)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        # The end that closes first stays in TIME_WAIT for a minute and keeps the port taken.
        # SO_REUSEADDR lets a restarted server bind beside that; never beside a live one.
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(16)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
