#!/usr/bin/env python3
"""Answer the frames of many clients, all of them in one thread.

usage: frame_server ADDRESS PORT [-i MS] [-n CONNECTIONS]

Protocol: FRAME/1, see frame_protocol.py. Serves CONNECTIONS clients (100) at a time; one more gets
ERROR and FIN. Closes a connection from which no whole frame has come for MS milliseconds (60000).
Prints ``READY``, then for each client ``accepted A:P`` and ``closed A:P: REASON``.

What it shows: a protocol is what to do with the frames that nobody should send, too. Every count
and every length is checked before it is believed, every client has a limit, and what a client
holds is given back however it leaves.
"""

import errno
import getopt
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE

from frame_protocol import (
    ACK,
    DATA,
    ERROR,
    GOODBYE,
    HEARTBEAT,
    HELLO,
    BrokenFrameError,
    Frame,
    FrameBuffer,
    pack_frame,
)

READ_SIZE = 16384

# Whoever has so many answers to take is not read from until it has taken some.
MAX_UNSENT = 65536


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


def number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and least <= int(text) <= most):
        sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return int(text)


def options(arguments: list[str]) -> tuple[tuple[str, int], float, int]:
    """Check what the user typed; return the endpoint, the idle time in seconds, the limit."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "i:n:")
    except (getopt.GetoptError, ValueError):
        print("usage: frame_server ADDRESS PORT [-i MS] [-n CONNECTIONS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-i": "60000", "-n": "100"} | dict(given)
    try:
        # Python would look up in the DNS what is no address.
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    endpoint = (address, number("port", port, 0, 65535))
    idle_s = number("-i", chosen["-i"], 1, 3600000) / 1000
    return endpoint, idle_s, number("-n", chosen["-n"], 1, 900)


class Client:
    """One connection, and how far it has come. No method of it waits."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.connection = connection
        self.peer = peer
        self.received = FrameBuffer()
        self.unsent = b""
        self.next_seq = 1  # of our frames to this client; its own numbers are its own
        self.last_frame_s = time.monotonic()
        self.reason = ""  # why no more frames are taken; empty while they are
        self.has_finished = False  # its FIN has come
        connection.setblocking(False)

    def events(self) -> int:
        """Return what to wait for; 0 when there is nothing left to do."""
        if self.has_finished:
            return EVENT_WRITE if self.unsent else 0
        return (EVENT_WRITE if self.unsent else 0) | (
            EVENT_READ if len(self.unsent) < MAX_UNSENT else 0
        )

    def receive(self) -> None:
        received = self.connection.recv(READ_SIZE)
        if not received:
            self.has_finished = True
        elif not self.reason:
            self.received.put(received)
        # After the last answer the rest is read and forgotten: close() with bytes unread would
        # send RST, which may overtake that answer.

    def advance(self) -> None:
        """Answer frames and send answers, until one of the two cannot go on."""
        while True:
            self.answer()
            if not self.unsent:
                break
            try:
                sent = self.connection.send(self.unsent)
            except BlockingIOError:
                return  # the rest goes when the client has read
            self.unsent = self.unsent[sent:]  # it may be less than all
        if self.reason and not self.has_finished:
            self.connection.shutdown(socket.SHUT_WR)

    def answer(self) -> None:
        """Turn frames into answers, as long as there are not too many of those."""
        while not self.reason and len(self.unsent) < MAX_UNSENT:
            try:
                frame = self.received.take()
            except BrokenFrameError as error:
                self.refuse(str(error))
                return
            if frame is None:
                return
            if frame.type in (HELLO, DATA):
                self.put(ACK)
            elif frame.type == HEARTBEAT:
                self.put(HEARTBEAT)
            elif frame.type == GOODBYE:
                self.put(ACK)
                self.reason = "GOODBYE"
            else:
                # Its end is known, so the next frame can be found: no reason to close.
                self.put(ERROR, b"unknown type %d" % frame.type)

    def put(self, kind: int, payload: bytes = b"") -> None:
        self.unsent += pack_frame(Frame(kind, self.next_seq, payload))
        self.next_seq = (self.next_seq + 1) % 2**32

    def refuse(self, reason: str) -> None:
        """Say why in an ERROR; nothing of this client is answered any more."""
        self.put(ERROR, reason.encode())
        self.reason = reason


class Server:
    """The listening socket and all clients."""

    def __init__(self, listener: socket.socket, idle_s: float, limit: int) -> None:
        self.listener = listener
        self.idle_s = idle_s
        self.limit = limit
        self.clients: list[Client] = []
        self.selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self.selector.register(listener, EVENT_READ)

    def run(self) -> None:
        """Do what can be done, then sleep until something can, for ever."""
        while True:
            for key, events in self.selector.select(self.close_the_idle()):
                if key.data is None:
                    self.accept()
                else:
                    self.serve(key.data, events)

    def close_the_idle(self) -> float | None:
        """Close who has said nothing for too long; return the seconds until somebody has.

        In every round, not only when nobody has anything to say: somebody always has.
        """
        now_s = time.monotonic()
        for client in list(self.clients):
            if client.last_frame_s + self.idle_s <= now_s:
                self.close(client, client.reason or "idle")
        first_s = min((client.last_frame_s for client in self.clients), default=None)
        return None if first_s is None else max(0.0, first_s + self.idle_s - now_s)

    def accept(self) -> None:
        try:
            connection, (address, port) = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it has left again
        except OSError as error:
            sys.exit(f"error: accept: {errno.errorcode.get(error.errno or 0)} ({error.strerror})")
        client = Client(connection, f"{address}:{port}")
        say(f"accepted {client.peer}")
        self.clients.append(client)
        self.selector.register(connection, EVENT_READ, client)
        # Those that are on their way out, and only drained, take nobody's place.
        if sum(not each.reason for each in self.clients) > self.limit:
            client.refuse("too many connections")
            self.serve(client, EVENT_WRITE)

    def serve(self, client: Client, events: int) -> None:
        try:
            if events & EVENT_READ:
                client.receive()
            client.advance()
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
        """The one way out, for whatever reason: nothing of a client is left behind."""
        self.selector.unregister(client.connection)
        client.connection.close()
        self.clients.remove(client)
        say(f"closed {client.peer}: {reason}")


def main(arguments: list[str]) -> None:
    wanted, idle_s, limit = options(arguments)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(128)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        Server(listener, idle_s, limit).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
