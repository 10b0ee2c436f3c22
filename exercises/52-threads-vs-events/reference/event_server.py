#!/usr/bin/env python3
"""Send each line back, to all clients from one thread.

usage: event_server [ADDRESS [PORT]]        (0.0.0.0 8090)

What it shows: the kernel is asked which sockets have something, and no other call waits. What each
client has sent so far has to be kept in a table. This is a reactor: it is told that a socket is
ready, and reads by itself.
"""

import errno
import os
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MAX_LINE = 1000


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


class Client:
    """A connection, the line that is not complete yet, and answers that did not fit."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.line = b""
        self.unsent = b""

    def read(self) -> bool:
        """Take what has come; return whether the client is still there."""
        try:
            received = self.connection.recv(4096)
        except BlockingIOError:
            return True
        whole, end, self.line = (self.line + received).rpartition(b"\n")
        self.unsent += whole + end
        return bool(received) and len(self.line) <= MAX_LINE

    def write(self) -> None:
        """Send what the socket takes; the rest waits in the table, and not in this call."""
        if self.unsent:
            try:
                sent = self.connection.send(self.unsent)
            except BlockingIOError:
                return
            self.unsent = self.unsent[sent:]


def serve(listener: socket.socket) -> None:
    """Serve whoever is ready, for ever."""
    clients: dict[int, Client] = {}
    listener.setblocking(False)
    with select.epoll() as poll:
        poll.register(listener, select.EPOLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == listener.fileno():
                    accept(listener, poll, clients)
                else:
                    attend(descriptor, poll, clients)


def accept(listener: socket.socket, poll: select.epoll, clients: dict[int, Client]) -> None:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return  # it left before we came
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    clients[connection.fileno()] = Client(connection)
    poll.register(connection, select.EPOLLIN)


def attend(descriptor: int, poll: select.epoll, clients: dict[int, Client]) -> None:
    """Do for one client what can be done at once."""
    client = clients[descriptor]
    try:
        # A client that does not take its answers is not asked for more: memory is bounded.
        is_there = client.read() if not client.unsent else True
        client.write()
    except OSError:
        is_there = False
    if is_there or client.unsent:
        poll.modify(descriptor, select.EPOLLOUT if client.unsent else select.EPOLLIN)
    else:
        poll.unregister(descriptor)
        del clients[descriptor]
        client.connection.close()


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: event_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8090"][len(arguments) :]
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
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
