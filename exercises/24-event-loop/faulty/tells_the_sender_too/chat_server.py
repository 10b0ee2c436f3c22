#!/usr/bin/env python3
"""Pass on what each client says to all others, in one thread.

usage: chat_server [-q BYTES] [-t MS] ADDRESS PORT

Protocol: CHAT/1, see chat_protocol.py. For a client that does not read, BYTES bytes (65536) are
kept; if there are more, it is closed. A client that says nothing for MS milliseconds (60000) is
sent ``PING``, and is closed if it says nothing for as long again. Prints ``READY``, then
``accepted A:P`` and ``closed A:P: REASON`` for each client.

What it shows: an event loop made by hand (a reactor). One call, epoll_wait, sleeps until a socket
can be read or written, or until the next timer is due; nothing else waits. What one event does can
concern many clients: one that writes, all that are written to, one that is closed for that.
"""

import errno
import getopt
import heapq
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from select import EPOLLIN, EPOLLOUT, epoll

from chat_protocol import PING, PONG, LineTooLongError, take_lines


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


def number(option: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= int(text) <= largest):
        sys.exit(f'error: {option}: "{text}" is not a number from 1 to {largest}')
    return int(text)


class Client:
    """One connection, and how far it has come."""

    def __init__(self, connection: socket.socket, peer: str, deadline: float) -> None:
        self.connection = connection
        self.fd = connection.fileno()
        self.peer = peer
        self.unread = bytearray()  # the beginning of a line
        self.unsent = bytearray()  # what the kernel did not take yet
        self.deadline = deadline
        self.was_pinged = False


class Server:
    """The loop, and all that it takes care of."""

    def __init__(self, listener: socket.socket, most_unsent: int, silence_s: float) -> None:
        self.listener = listener
        self.most_unsent = most_unsent
        self.silence_s = silence_s
        self.clients: dict[int, Client] = {}
        # The soonest first. The second field only decides between equal times.
        self.order = count()
        self.timers: list[tuple[float, int, Client]] = []
        self.epoll = epoll()
        listener.setblocking(False)
        # Level-triggered: epoll says again and again what is still there, so one accept() or
        # recv() for an event is enough, and fair. With EPOLLET it says so once, and each event
        # has to be followed up until EAGAIN.
        self.epoll.register(listener, EPOLLIN)

    def run(self) -> None:
        while True:
            # Sleep until the next timer, not in small steps: an idle server shall cost nothing.
            wait_s = max(self.timers[0][0] - time.monotonic(), 0) if self.timers else None
            for fd, events in self.epoll.poll(wait_s):
                if fd == self.listener.fileno():
                    self.accept()
                # An earlier event of the same batch may have closed it: then there is nobody, or
                # already somebody new, for whom one recv() too many does no harm.
                elif client := self.clients.get(fd):
                    self.serve(client, events)
            # After the events, so that what has come in time counts; and each time, not only when
            # poll() has timed out: on a busy server it never does.
            self.ring()

    def accept(self) -> None:
        with calling("accept"):
            try:
                connection, (address, port) = self.listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return  # it has left again
        connection.setblocking(False)
        client = Client(connection, f"{address}:{port}", time.monotonic() + self.silence_s)
        self.clients[client.fd] = client
        heapq.heappush(self.timers, (client.deadline, next(self.order), client))
        self.epoll.register(client.fd, EPOLLIN)
        say(f"accepted {client.peer}")

    def serve(self, client: Client, events: int) -> None:
        try:
            if events & EPOLLOUT:
                self.flush(client)
            # HUP and ERR as well: recv() tells what it is.
            if events & ~EPOLLOUT:
                self.receive(client)
        except BlockingIOError:
            pass  # not ready after all
        except LineTooLongError:
            self.close(client, "line too long")
        except OSError as error:
            self.close(client, f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})")

    def receive(self, client: Client) -> None:
        received = client.connection.recv(65536)
        if not received:
            self.close(client, "end of the stream")
            return
        client.unread += received
        for line in take_lines(client.unread):
            client.deadline = time.monotonic() + self.silence_s
            client.was_pinged = False
            if line and line != PONG:
                self.broadcast(line + b"\n", client)

    def broadcast(self, line: bytes, sender: Client) -> None:
        # A copy: whoever cannot take it is removed while we go through them.
        for client in list(self.clients.values()):
            self.send(client, line)

    def send(self, client: Client, line: bytes) -> None:
        """Send a line, or keep it; one client's trouble is never another one's."""
        client.unsent += line
        try:
            # With more before it, it has to wait for its turn, and epoll says when.
            if len(client.unsent) == len(line):
                self.flush(client)
        except OSError as error:
            self.close(client, f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})")
        else:
            if len(client.unsent) > self.most_unsent:
                self.close(client, "too slow")

    def flush(self, client: Client) -> None:
        """Send what is kept, as much as the kernel takes."""
        try:
            sent = client.connection.send(client.unsent)
        except BlockingIOError:
            sent = 0  # EAGAIN: nothing is wrong, and nothing may be lost
        del client.unsent[:sent]
        # A socket can be written nearly always: who asks for that without need never sleeps.
        self.epoll.modify(client.fd, EPOLLIN | (EPOLLOUT if client.unsent else 0))

    def ring(self) -> None:
        """Do what is due by now."""
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, client = heapq.heappop(self.timers)
            if self.clients.get(client.fd) is not client:
                continue  # it has left
            # Each line moves the deadline, and that happens often; so the timer stays where it
            # is, and when it rings it looks whether it was moved.
            if client.deadline <= now:
                if client.was_pinged:
                    self.close(client, "silent")
                    continue
                client.was_pinged = True
                client.deadline = now + self.silence_s
                self.send(client, PING)
            heapq.heappush(self.timers, (client.deadline, next(self.order), client))

    def close(self, client: Client, reason: str) -> None:
        # Once, however many find a reason to: after the first time its number may be another's.
        if self.clients.pop(client.fd, None) is None:
            return
        self.epoll.unregister(client.fd)
        client.connection.close()
        say(f"closed {client.peer}: {reason}")


def main(arguments: list[str]) -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "q:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: chat_server [-q BYTES] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    chosen = {"-q": "65536", "-t": "60000"} | dict(given)
    most_unsent, wait_ms = number("-q", chosen["-q"], 10**7), number("-t", chosen["-t"], 600000)
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
        Server(listener, most_unsent, wait_ms / 1000).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
