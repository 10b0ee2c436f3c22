#!/usr/bin/env python3
"""Answer questions over UDP, each in a child process of its own.

usage: ask_server [-u ADDRESS:PORT] [-n CHILDREN] [-t MS] ADDRESS PORT

Protocol: ASK/1, see ask_protocol.py. The answers come from the TCP server at -u (127.0.0.1:4300),
which may take its time: a child waits MS milliseconds (10000) for it. At most CHILDREN (8) wait at
the same time; meanwhile further questions stay in the socket's queue. Prints ``READY``, then
``child PID for A:P`` and ``child PID has ended``.

What it shows: a concurrent UDP server of the simple kind. The parent receives, and never does
anything that could take long. A child answers with the same socket, which fork() gave it too, so
the answer comes from the port that was asked. And the parent buries its children.
"""

import errno
import getopt
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ask_protocol import BUFFER_SIZE, MAX_LINE, pack_answer, pack_failure, unpack_question

Address = tuple[str, int]


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


def endpoint(address: str, port: str) -> Address:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 0 to 65535')
    return address, int(port)


def number(option: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= largest):
        sys.exit(f'error: {option}: "{text}" is not a number from 1 to {largest}')
    return int(text)


def ask_source(source: Address, text: bytes, wait_s: float) -> bytes:
    """Return the source's line. Raises ``OSError``, ``TimeoutError`` among them."""
    # One deadline for all calls: a source that sends a byte now and then shall not keep us.
    deadline = time.monotonic() + wait_s
    with socket.create_connection(source, wait_s) as connection:
        connection.sendall(text + b"\n")
        line = b""
        while b"\n" not in line and len(line) <= MAX_LINE:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            received = connection.recv(MAX_LINE)
            if not received:
                raise ConnectionResetError(errno.ECONNRESET, "no line")
            line += received
    return line.partition(b"\n")[0][:MAX_LINE]


class Server:
    """The parent: it receives, it forks, it buries; nothing of that waits for a source."""

    def __init__(self, sock: socket.socket, source: Address, most: int, wait_s: float) -> None:
        self.sock = sock
        self.source = source
        self.most = most
        self.wait_s = wait_s
        self.children: set[int] = set()
        # A child may end at any moment, also between a test and the call that sleeps. So SIGCHLD
        # does nothing but write a byte into a pipe, and the loop sleeps on that as well.
        self.wakeup, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(told)

    def run(self) -> None:
        while True:
            # While there is no room for a child, the question stays where it is: the kernel's
            # queue holds some hundred of them. Received and thrown away, it would be lost.
            has_room = len(self.children) < self.most
            waited_for = [self.wakeup, *([self.sock] if has_room else [])]
            ready, _, _ = select.select(waited_for, [], [])
            if self.wakeup in ready:
                self.bury()
            if self.sock in ready:
                self.receive()

    def bury(self) -> None:
        """Wait for every child that has ended."""
        with suppress(BlockingIOError):
            os.read(self.wakeup, 4096)
        # Signals do not queue: one SIGCHLD may stand for many children.
        while self.children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.children.discard(pid)
            say(f"child {pid} has ended")

    def receive(self) -> None:
        with calling("recvfrom"):
            try:
                # A readable socket need not stay that: the checksum may have been wrong.
                datagram, client = self.sock.recvfrom(BUFFER_SIZE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
        question = unpack_question(datagram)
        if question is None:
            return  # its sender may be forged, and an answer would hit somebody else
        with calling("fork"):
            pid = os.fork()
        if not pid:
            # The child must not come back from here into the parent's loop, whatever happens.
            try:
                self.answer(*question, client)
            finally:
                os._exit(0)
        self.children.add(pid)
        say(f"child {pid} for {client[0]}:{client[1]}")

    def answer(self, name: bytes, text: bytes, client: Address) -> None:
        """Do what takes long, in the child, and send the answer from the server's own socket."""
        try:
            answer = pack_answer(name, ask_source(self.source, text, self.wait_s))
        except TimeoutError:
            answer = pack_failure(name, "the source does not answer")
        except OSError as error:
            answer = pack_failure(name, f"the source: {error.strerror}")
        with suppress(OSError):
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(answer, client)


def main(arguments: list[str]) -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "u:n:t:")
    except (getopt.GetoptError, ValueError):
        print(
            "usage: ask_server [-u ADDRESS:PORT] [-n CHILDREN] [-t MS] ADDRESS PORT",
            file=sys.stderr,
        )
        sys.exit(2)
    chosen = {"-u": "127.0.0.1:4300", "-n": "8", "-t": "10000"} | dict(given)
    source_address, _, source_port = chosen["-u"].partition(":")
    source = endpoint(source_address, source_port)
    most, wait_ms = number("-n", chosen["-n"], 1000), number("-t", chosen["-t"], 600000)
    wanted = endpoint(address, port)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("bind"):
            sock.bind(wanted)
        if wanted[1] == 0:
            say(f"bound to {sock.getsockname()[0]}:{sock.getsockname()[1]}")
        say("READY")
        Server(sock, source, most, wait_ms / 1000).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
