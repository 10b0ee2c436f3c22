#!/usr/bin/env python3
"""Keep keys and values for many clients at the same time, all of them in one thread.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 8085)

Protocol: KV/1, see kv_protocol.py. After a request whose end cannot be found (line too long, PUT
without a proper length, value without LF) the server answers ERR and closes; after any other error
it goes on. Prints ``READY``, then for each client ``accepted A:P`` and ``closed A:P: REASON``.

What it shows: an event loop. The kernel is asked which of all sockets can be read or written
without waiting, and only that is done. So nothing may wait anywhere else; what is not finished is
remembered in the client's object: half a request, or answers that the client does not take.
"""

import errno
import os
import selectors
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE

from kv_protocol import BrokenStreamError, Request, RequestBuffer, is_key

Store = dict[bytes, bytes]

READ_SIZE = 4096

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


def carry_out(request: Request, store: Store) -> bytes:
    """Carry out one request; return the answer."""
    match request.words:
        case [b"PUT" | b"GET" | b"DEL", key, *_] if not is_key(key):
            return b"ERR bad key\n"
        case [b"PUT", key, _]:
            store[key] = request.value
            return b"OK\n"
        case [b"GET" | b"DEL", key] if key not in store:
            return b"NOTFOUND\n"
        case [b"GET", key]:
            return b"VALUE %d\n%b\n" % (len(store[key]), store[key])
        case [b"DEL", key]:
            del store[key]
            return b"OK\n"
        case [b"COUNT"]:
            return b"COUNT %d\n" % len(store)
        case _:
            return b"ERR unknown request\n"


class Client:
    """One connection, and how far it has come. No method of it waits."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.connection = connection
        self.peer = peer
        self.received = RequestBuffer()
        self.unsent = b""
        self.reason = ""  # why no more requests are carried out; empty while they are
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
        # The mistake: it waits here for the end of the request, and nobody else is served.
        self.connection.setblocking(True)
        while received and not received.endswith(b"\n"):
            received += self.connection.recv(READ_SIZE)
        self.connection.setblocking(False)
        if not received:
            self.has_finished = True
        elif not self.reason:
            self.received.put(received)
        # After QUIT or ERR the rest is read and forgotten: close() with bytes unread would send
        # RST, which may overtake the last answer.

    def advance(self, store: Store) -> None:
        """Carry out requests and send answers, until one of the two cannot go on."""
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
        """Turn requests into answers, as long as there are not too many of those."""
        while not self.reason and len(self.unsent) < MAX_UNSENT:
            try:
                request = self.received.take()
            except BrokenStreamError as error:
                self.reason = f"ERR {error}"
                self.unsent += f"{self.reason}\n".encode()
                return
            if request is None:
                return
            if request.words == [b"QUIT"]:
                self.reason = "QUIT"
                return
            self.unsent += carry_out(request, store)


class Server:
    """The listening socket, all clients, and the store that they share."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.store: Store = {}
        self.clients = 0
        self.selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self.selector.register(listener, EVENT_READ)

    def run(self) -> None:
        """Do what can be done, then sleep until something can, for ever."""
        while True:
            for key, events in self.selector.select():
                if key.data is None:
                    self.accept()
                else:
                    self.serve(key.data, events)

    def accept(self) -> None:
        try:
            connection, (address, port) = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it has left again
        except OSError as error:
            sys.exit(f"error: accept: {errno.errorcode.get(error.errno or 0)} ({error.strerror})")
        client = Client(connection, f"{address}:{port}")
        say(f"accepted {client.peer}")
        self.selector.register(connection, EVENT_READ, client)
        self.clients += 1
        if self.clients == MAX_CLIENTS:
            self.selector.unregister(self.listener)

    def serve(self, client: Client, events: int) -> None:
        try:
            if events & EVENT_READ:
                client.receive()
            client.advance(self.store)
        except BlockingIOError:
            return  # it looked readable and was not: that may happen, see select(2)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0)
            self.close(client, f"{name} ({error.strerror})")
            return
        if wanted := client.events():
            self.selector.modify(client.connection, wanted, client)
        else:
            self.close(client, client.reason or "end of the stream")

    def close(self, client: Client, reason: str) -> None:
        self.selector.unregister(client.connection)
        client.connection.close()
        say(f"closed {client.peer}: {reason}")
        if self.clients == MAX_CLIENTS:
            self.selector.register(self.listener, EVENT_READ)
        self.clients -= 1


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8085"][len(arguments) :]
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
        Server(listener).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
