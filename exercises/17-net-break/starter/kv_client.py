#!/usr/bin/env python3
"""Talk to a key-value server from the keyboard. The task is in README.md.

usage: kv_client ADDRESS PORT [-t MS]

Protocol: KV/1, see kv_protocol.py. Reads one command a line and prints one line for each:

    put KEY VALUE    OK            the value is the rest of the line
    get KEY          VALUE LENGTH TEXT, or NOTFOUND
    del KEY          OK, or NOTFOUND
    count            COUNT N
    quit             nothing; ends the program, as does the end of the input (Ctrl-D)

It works, as long as the network does.
"""

import errno
import getopt
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kv_protocol import BrokenStreamError, StreamReader, parse_length


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


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def options(arguments: list[str]) -> tuple[tuple[str, int], float]:
    """Check what the user typed; return the server and the seconds of patience."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "t:")
    except (getopt.GetoptError, ValueError):
        note("usage: kv_client ADDRESS PORT [-t MS]")
        sys.exit(2)
    wait_ms = dict(given).get("-t", "5000")
    try:
        # Python would look up in the DNS what is no address.
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    for name, text, largest in (("port", port, 65535), ("-t", wait_ms, 60000)):
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return (address, int(port)), int(wait_ms) / 1000


def printable(text: bytes) -> str:
    """Show any bytes in one line: what is not ASCII text becomes ``\\n``, ``\\xff`` and so on."""
    # Latin-1 has one character for each byte; unicode_escape writes out those that do not print.
    return text.decode("latin-1").encode("unicode_escape").decode()


def request(words: list[bytes]) -> bytes | None:
    """Return what the protocol says for a command, or None if there is no such command."""
    match words:
        case [b"put", key, value]:
            return b"PUT %b %d\n%b\n" % (key, len(value), value)
        case [b"get" | b"del", key]:
            return b"%b %b\n" % (words[0].upper(), key)
        case [b"count"]:
            return b"COUNT\n"
        case _:
            return None


def read_reply(reader: StreamReader) -> str:
    """Read one answer to its end; return it as one line."""
    with calling("recv"):
        try:
            line = reader.read_line()
            if line is None:
                sys.exit("error: recv: the server closed the connection")
            if not line.startswith(b"VALUE "):
                return printable(line)
            length = parse_length(line.removeprefix(b"VALUE "))
            if length is None:
                raise BrokenStreamError("VALUE without a proper length")
            return f"{printable(line)} {printable(reader.read_value(length))}"
        except BrokenStreamError as reason:
            sys.exit(f"error: recv: {reason}")


def talk(connection: socket.socket) -> None:
    """Carry out commands from stdin to its end."""
    reader = StreamReader(connection.recv)
    while True:
        with calling("read"):
            line = sys.stdin.buffer.readline()
        words = line.removesuffix(b"\n").split(b" ", 2)
        if not line or words == [b"quit"]:
            with calling("send"):
                connection.sendall(b"QUIT\n")
            return
        message = request(words)
        if message is None:
            say("commands: put KEY VALUE, get KEY, del KEY, count, quit")
            continue
        with calling("send"):
            connection.sendall(message)
        say(read_reply(reader))


def main(arguments: list[str]) -> None:
    server, _wait_s = options(arguments)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        # TODO: wait no longer than _wait_s seconds for the connection, and for each answer.
        with calling("connect"):
            sock.connect(server)
        talk(sock)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
