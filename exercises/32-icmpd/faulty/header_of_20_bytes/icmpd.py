#!/usr/bin/env python3
"""Tell programs which of their UDP datagrams brought back an ICMP error.

usage: icmpd NAME

Listens on the abstract unix socket NAME (SOCK_SEQPACKET). A client connects and sends one message
with its UDP socket (SCM_RIGHTS); the answer is an errno, u32, 0 for taken. From then on each ICMP
error about a datagram of that socket is a message to the client, see icmpd_protocol.py. Prints
READY when clients can come. Needs CAP_NET_RAW.

What it shows: a UDP socket that sends to many is not told which of them failed; its errors come
as one number, or not at all. The ICMP message has it all, but only a raw socket sees it, and that
needs a privilege. So one small program has the privilege, and the others give it their socket.
"""

import errno
import os
import selectors
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from icmpd_protocol import Report, pack_report, pack_verdict

USAGE = "usage: icmpd NAME"
LONGEST_NAME = 107
BACKLOG = 16
BUFFER_SIZE = 65536

UNREACHABLE = 3
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12
ICMP_HEADER_BYTES = 8

MOST_FDS = 8
"""Room for descriptors in one message, so that too many are seen, and closed."""


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


def errno_for(kind: int, code: int) -> int:
    """Return the errno that a program understands best."""
    if kind == UNREACHABLE and code == 3:
        return errno.ECONNREFUSED
    if kind == UNREACHABLE and code == 4:
        return errno.EMSGSIZE
    return errno.EHOSTUNREACH


def parse_error(packet: bytes) -> tuple[str, int, Report] | None:
    """Return who sent the datagram that an ICMP packet is about, and what there is to say of it."""
    # A raw IPv4 socket gets the IP header as well.
    message = packet[4 * (packet[0] & 0xF) :]
    if len(message) < ICMP_HEADER_BYTES:
        return None
    kind, code = message[0], message[1]
    if kind not in (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM):
        return None
    quoted = message[ICMP_HEADER_BYTES:]
    header = 20
    ports = quoted[header : header + 4]
    if quoted[9:10] != bytes([socket.IPPROTO_UDP]) or len(ports) < 4:
        return None
    report = Report(
        errno_for(kind, code),
        kind,
        code,
        int.from_bytes(ports[2:], "big"),
        socket.inet_ntoa(quoted[16:20]),
    )
    return socket.inet_ntoa(quoted[12:16]), int.from_bytes(ports[:2], "big"), report


def bound_address(fds: list[int]) -> tuple[str, int] | None:
    """Return where the UDP socket is bound that a client gave us, or None if it gave no such thing.

    Closes all of the descriptors: a copy that stays open keeps the port taken when its owner has
    long gone.
    """
    try:
        if len(fds) != 1:
            return None
        theirs = socket.socket(fileno=fds[0])
        try:
            if (theirs.family, theirs.type) != (socket.AF_INET, socket.SOCK_DGRAM):
                return None
            address, port = theirs.getsockname()
        finally:
            theirs.detach()  # closed below, like all of them
        return (address, port) if port else None
    except OSError:
        return None  # no socket at all
    finally:
        for fd in fds:
            os.close(fd)


class Daemon:
    """One raw socket, and the clients with what they have bound."""

    def __init__(self, raw: socket.socket, listener: socket.socket) -> None:
        self.raw = raw
        self.listener = listener
        self.bound: dict[socket.socket, tuple[str, int]] = {}
        """Where the UDP socket of each client is bound, once it has sent it."""
        self.selector = selectors.DefaultSelector()
        self.selector.register(raw, selectors.EVENT_READ, self.take_error)
        self.selector.register(listener, selectors.EVENT_READ, self.accept)

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)

    def accept(self, listener: socket.socket) -> None:
        with calling("accept"):
            client, _ = listener.accept()
        # Nobody holds us up: neither who connects and sends nothing, nor who does not read.
        client.setblocking(False)
        self.selector.register(client, selectors.EVENT_READ, self.hear)

    def hear(self, client: socket.socket) -> None:
        """Take a client's socket; anything after that, and the end, is its end."""
        try:
            message, fds, _, _ = socket.recv_fds(client, 1, MOST_FDS)
        except OSError:
            self.drop(client)
            return
        is_second = client in self.bound
        bound = bound_address(fds)
        if not message or is_second:
            self.drop(client)
        elif bound is None:
            self.send(client, pack_verdict(errno.EINVAL))
            self.drop(client)
        else:
            self.bound[client] = bound
            self.send(client, pack_verdict(0))

    def drop(self, client: socket.socket) -> None:
        self.bound.pop(client, None)
        if client.fileno() >= 0:
            self.selector.unregister(client)
            client.close()

    def take_error(self, raw: socket.socket) -> None:
        with calling("recv"):
            packet = raw.recv(BUFFER_SIZE)
        parsed = parse_error(packet)
        if parsed is None:
            return
        source, port, report = parsed
        for client, bound in list(self.bound.items()):
            if bound in ((source, port), ("0.0.0.0", port)):
                self.send(client, pack_report(report))

    def send(self, client: socket.socket, message: bytes) -> None:
        try:
            client.send(message)
        except BlockingIOError:
            pass  # it does not read: its loss
        except OSError:
            self.drop(client)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not 1 <= len(os.fsencode(arguments[0])) <= LONGEST_NAME:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    with calling("socket"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with raw, listener:
        with calling("bind"):
            # The zero makes it abstract: no file, and gone with its socket.
            listener.bind(b"\0" + os.fsencode(arguments[0]))
        with calling("listen"):
            listener.listen(BACKLOG)
        say("READY")
        Daemon(raw, listener).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
