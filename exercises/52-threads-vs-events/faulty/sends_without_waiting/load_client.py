#!/usr/bin/env python3
"""Load a server with more and more clients, and print a table of what that gave.

usage: load_client ADDRESS PORT [-s SERVER] [-c CLIENTS,…] [-n N]

For each number of clients (1,10,50) so many connections are made. Then each sends N lines (20), the
next when the answer to the one before is there, all at the same time. Prints a heading and a line
for each, with tabs in between; SERVER (server) is the name in the first column.

What it shows: one thread is enough to be many clients. With N clients, N requests are on their way:
throughput grows with N until the server is busy all the time, and from there only the latency does.
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

USAGE = "usage: load_client ADDRESS PORT [-s SERVER] [-c CLIENTS,…] [-n N]"
HEADING = ["server", "clients", "requests", "ns", "requests_per_s", "p50_ns", "max_ns"]
LIMIT_S = 30.0
"""No answer takes that long."""


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
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return int(text)


class Client:
    """One connection, the request that is on its way on it, and how long the others took."""

    def __init__(self, server: tuple[str, int], name: int, requests: int) -> None:
        self.connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.connection.settimeout(LIMIT_S)
        self.connection.connect(server)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name = name
        self.requests = requests
        self.sent_ns = 0
        self.answer = b""
        self.latencies_ns: list[int] = []

    def request(self) -> bytes:
        return b"%d %d\n" % (self.name, len(self.latencies_ns))

    def send(self) -> None:
        self.sent_ns = self.sent_ns or time.monotonic_ns()
        if not self.latencies_ns:
            for n in range(self.requests):
                self.connection.sendall(b"%d %d\n" % (self.name, n))

    def receive(self) -> bool:
        """Take what has come; return whether there is more to do."""
        received = self.connection.recv(4096)
        if not received:
            sys.exit("error: recv: the server has closed a connection")
        self.answer += received
        if not self.answer.endswith(b"\n"):
            return True
        if self.answer != self.request():
            sys.exit(f"error: recv: {self.answer!r} is not the answer to {self.request()!r}")
        self.latencies_ns.append(time.monotonic_ns() - self.sent_ns)
        self.answer = b""
        if len(self.latencies_ns) == self.requests:
            return False
        self.send()
        return True


def load(server: tuple[str, int], count: int, requests: int) -> list[int]:
    """Be so many clients at once; return the numbers of a line of the table."""
    with calling("connect"):
        clients = [Client(server, name, requests) for name in range(count)]
    with selectors.DefaultSelector() as selector, calling("recv"):
        # Connections are made before the clock starts: this is about requests.
        started_ns = time.monotonic_ns()
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
            client.send()
        busy = count
        while busy:
            ready = selector.select(LIMIT_S)
            if not ready:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            for key, _ in ready:
                if not key.data.receive():
                    selector.unregister(key.fileobj)
                    busy -= 1
        ns = time.monotonic_ns() - started_ns
    for client in clients:
        client.connection.close()
    latencies = sorted(ns for client in clients for ns in client.latencies_ns)
    total = len(latencies)
    return [count, total, ns, total * 10**9 // ns, latencies[(total + 1) // 2 - 1], latencies[-1]]


def main(arguments: list[str]) -> None:
    try:
        given, (address, port_text) = getopt.gnu_getopt(arguments, "s:c:n:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    options = dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    server = (address, number("port", port_text, 1, 65535))
    requests = number("-n", options.get("-n", "20"), 1, 10**6)
    counts = [number("-c", text, 1, 1000) for text in options.get("-c", "1,10,50").split(",")]
    say("\t".join(HEADING))
    for count in counts:
        words = [options.get("-s", "server"), *load(server, count, requests)]
        say("\t".join(map(str, words)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
