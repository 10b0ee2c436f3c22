#!/usr/bin/env python3
"""Keep accounts for many clients, each of them served by a thread of its own.

usage: bank_server [-n CLIENTS] [-t MS] ADDRESS PORT

Protocol: BANK/1, see bank_protocol.py. At most CLIENTS (16) are served at the same time; one more is
told ``BUSY`` and closed. A client that sends nothing for MS milliseconds (60000) is closed. Prints
``READY``, then ``accepted A:P`` and ``closed A:P: REASON`` for each client.

What it shows: a thread for each connection. Each waits for its own client and for nobody else, so
the code is as simple as that of a server with one client. The price is in what they share: all that
has to be true together is changed under one lock, and nothing that waits is done under it.
"""

import errno
import getopt
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bank_protocol import ACCOUNTS, MAX_LINE, START, Move, pack_list, parse_move


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
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= largest):
        sys.exit(f'error: {option}: "{text}" is not a number from 1 to {largest}')
    return int(text)


class Bank:
    """The accounts, which all threads share."""

    def __init__(self) -> None:
        self.balances = [START] * ACCOUNTS
        # One lock for all accounts. A lock for each would let more threads work at the same time,
        # and then MOVE 1 2 and MOVE 2 1 can wait for each other for ever.
        self.lock = threading.Lock()

    def move(self, move: Move) -> bytes:
        # To look, to take and to give belong together: in between, nobody else may do any of it.
        with self.lock:
            if self.balances[move.source] < move.amount:
                return b"POOR\n"
            self.balances[move.source] -= move.amount
            self.balances[move.target] += move.amount
        return b"OK\n"

    def list(self) -> bytes:
        # A copy under the lock; the rest takes longer, and needs no lock any more.
        with self.lock:
            balances = self.balances.copy()
        return pack_list(balances)


def carry_out(line: bytes, bank: Bank) -> bytes:
    words = line.split(b" ")
    if words == [b"LIST"]:
        return bank.list()
    move = parse_move(words)
    return bank.move(move) if move else b"ERR unknown request\n"


def converse(connection: socket.socket, bank: Bank) -> str:
    """Serve one client to its end; return why it ended."""
    unread = b""
    while True:
        while b"\n" not in unread:
            if len(unread) > MAX_LINE:
                connection.sendall(b"ERR line too long\n")
                return "line too long"
            received = connection.recv(4096)
            unread += received
        line, _, unread = unread.partition(b"\n")
        if line == b"QUIT":
            return "QUIT"
        # Nothing is locked here. This waits for as long as the client likes, and only this thread.
        connection.sendall(carry_out(line, bank))


class Server:
    """The thread that accepts, and the number of those that serve."""

    def __init__(self, most: int, wait_s: float) -> None:
        self.bank = Bank()
        self.wait_s = wait_s
        self.free = threading.Semaphore(most)

    def run(self, listener: socket.socket) -> None:
        while True:
            with calling("accept"):
                connection, (address, port) = listener.accept()
            # blocking=False: if the only thread that accepts waited here, those who come would
            # wait without a word, and those who are to be told BUSY as well.
            if not self.free.acquire(blocking=False):
                self.refuse(connection)
                continue
            # daemon: the process can end though a client is still there. Nobody joins a thread of
            # this kind, and it leaves nothing behind; in C, pthread_detach.
            threading.Thread(
                target=self.serve, args=(connection, f"{address}:{port}"), daemon=True
            ).start()

    def refuse(self, connection: socket.socket) -> None:
        # A few bytes always fit into the buffer of a new connection.
        with connection, suppress(OSError):  # it may have left already
            connection.sendall(b"BUSY\n")

    def serve(self, connection: socket.socket, peer: str) -> None:
        """Serve one client in a thread of its own; its place is free again in any case."""
        say(f"accepted {peer}")
        try:
            with connection:
                connection.settimeout(self.wait_s)
                reason = converse(connection, self.bank)
        except TimeoutError:
            reason = "silent for too long"
        except OSError as error:
            reason = f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})"
        finally:
            self.free.release()
        say(f"closed {peer}: {reason}")


def main(arguments: list[str]) -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "n:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: bank_server [-n CLIENTS] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    chosen = {"-n": "16", "-t": "60000"} | dict(given)
    most, wait_ms = number("-n", chosen["-n"], 10000), number("-t", chosen["-t"], 600000)
    wanted = endpoint(address, port)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(64)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        Server(most, wait_ms / 1000).run(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
