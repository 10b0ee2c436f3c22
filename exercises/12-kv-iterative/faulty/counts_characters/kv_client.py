#!/usr/bin/env python3
"""Talk to a key-value server from the keyboard.

usage: kv_client ADDRESS PORT

Protocol: KV/1, see kv_protocol.py. Reads one command a line and prints one line for each:

    put KEY VALUE    OK            the value is the rest of the line
    get KEY          VALUE LENGTH TEXT, or NOTFOUND
    del KEY          OK, or NOTFOUND
    count            COUNT N
    quit             nothing; ends the program, as does the end of the input (Ctrl-D)
    fire K           FIRED K       sends K requests at once and closes without reading an answer

Exit 0; 1 when the server closes the connection, breaks the protocol, or a call fails.

What it shows: a reply has to be cut from the stream by the rules of the protocol. And with
``fire``, what a server has to bear: its answers meet a client that is gone.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kv_protocol import BrokenStreamError, StreamReader, parse_length

MAX_FIRE = 10000


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
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 1 to 65535')
    return address, int(port)


def printable(text: bytes) -> str:
    """Show any bytes in one line: what is not ASCII text becomes ``\\n``, ``\\xff`` and so on."""
    # Latin-1 has one character for each byte; unicode_escape writes out those that do not print.
    return text.decode("latin-1").encode("unicode_escape").decode()


def request(words: list[bytes]) -> bytes | None:
    """Return what the protocol says for a command, or None if there is no such command."""
    match words:
        case [b"put", key, value]:
            # The mistake: the protocol counts bytes, and a letter may have more than one.
            return b"PUT %b %d\n%b\n" % (key, len(value.decode()), value)
        case [b"get" | b"del", key]:
            return b"%b %b\n" % (words[0].upper(), key)
        case [b"count"]:
            return b"COUNT\n"
        case _:
            return None


def fire_count(words: list[bytes]) -> int:
    """Return how many requests to fire, or 0 if that is not what was typed."""
    text = b" ".join(words)
    return int(text) if text.isdigit() and len(text) <= 5 and int(text) <= MAX_FIRE else 0


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


def talk(sock: socket.socket) -> None:
    """Carry out commands from stdin to its end."""
    reader = StreamReader(sock)
    at_terminal = sys.stdin.isatty()
    while True:
        if at_terminal:
            print("> ", end="", file=sys.stderr, flush=True)
        with calling("read"):
            line = sys.stdin.buffer.readline()
        words = line.removesuffix(b"\n").split(b" ", 2)
        if not line or words == [b"quit"]:
            with calling("send"):
                sock.sendall(b"QUIT\n")
            return
        if words[0] == b"fire" and (count := fire_count(words[1:])):
            # Leaving without a word to the server: no QUIT, no recv(). Answers that have
            # arrived unread make the kernel send RST at once; those that come later get one.
            with calling("send"):
                sock.sendall(b"GET fire\n" * count)
            say(f"FIRED {count}")
            return
        message = request(words)
        if message is None:
            say("commands: put KEY VALUE, get KEY, del KEY, count, quit, fire K")
            continue
        with calling("send"):
            sock.sendall(message)
        say(read_reply(reader))


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: kv_client ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    server = endpoint(arguments[0], arguments[1])
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        with calling("connect"):
            sock.connect(server)
        talk(sock)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
