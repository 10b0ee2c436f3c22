#!/usr/bin/env python3
"""Keep keys and values for many clients at the same time, each in a thread of its own.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 8085)

Protocol: KV/1, see kv_protocol.py. After a request whose end cannot be found (line too long, PUT
without a proper length, value without LF) the server answers ERR and closes; after any other error
it goes on. Prints ``READY``, then for each client ``accepted A:P``, a line for each request, and
``closed A:P: REASON``.

What it shows: a thread that waits for its client keeps nobody else waiting, so the code that
serves one client is that of the iterative server. What all threads share, the store, needs a lock.
"""

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kv_protocol import BrokenStreamError, StreamReader, is_key, parse_length

Store = dict[bytes, bytes]

# Held while the store is looked at or changed, and never while anything is received or sent: a
# thread that waits for its client with the lock in its hand would stop all the others.
store_lock = threading.Lock()


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
    """Take one request to its end and carry it out; return the answer without its last LF."""
    words = line.split(b" ")
    value = b""
    if words[0] == b"PUT":
        length = parse_length(words[2]) if len(words) == 3 else None
        if length is None:
            raise BrokenStreamError("PUT takes a key and a length from 0 to 4096")
        # The value is read before the key is judged: if it stayed in the stream it would be
        # taken for the next request.
        value = reader.read_value(length)
    return carry_out(words, value, store)


def carry_out(words: list[bytes], value: bytes, store: Store) -> bytes:
    match words:
        case [b"PUT" | b"GET" | b"DEL", key, *_] if not is_key(key):
            return b"ERR bad key"
        case [b"PUT", key, _]:
            store[key] = value
            return b"OK"
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
        while True:
            # The mistake: the lock is held while the request is still coming.
            with store_lock:
                connection.recv(1, socket.MSG_PEEK) if not reader.buffer else None
                line = reader.read_line()
                if line in (None, b"QUIT"):
                    break
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


def attend(connection: socket.socket, peer: str, store: Store) -> None:
    """Serve one client to the end, and close. Runs in a thread of its own."""
    with connection:
        try:
            reason = converse(connection, store)
        except OSError as error:
            # This client is gone (EPIPE, ECONNRESET). Nobody else notices.
            reason = f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})"
    say(f"closed {peer}: {reason}")


def serve(listener: socket.socket) -> None:
    """Take clients as they come, for ever, and let each be served."""
    store: Store = {}
    while True:
        with calling("accept"):
            connection, (address, port) = listener.accept()
        peer = f"{address}:{port}"
        say(f"accepted {peer}")
        # daemon: the program can end while a client is still there. Nobody waits for the thread;
        # join() here would make this an iterative server again.
        thread = threading.Thread(target=attend, args=(connection, peer, store), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The machine has no more threads to give. This client is sent away, the others stay.
            connection.close()
            say(f"closed {peer}: too many threads")


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
            listener.listen(128)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
