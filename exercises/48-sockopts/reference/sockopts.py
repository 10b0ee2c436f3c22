#!/usr/bin/env python3
"""Turn the knobs of a TCP socket, and ask the kernel what it made of them.

usage: sockopts ADDRESS PORT

Makes one TCP socket, reads one command a line, and answers each with one line:

    set rcvbuf BYTES | set sndbuf BYTES | set maxseg BYTES      ok
    set nodelay 0|1                                             ok
    set keepalive IDLE INTERVAL COUNT | set keepalive off       ok
    set linger SECONDS | set linger off                         ok
    set rcvtimeo MS                                             ok
    get NAME        what the kernel says: numbers as they are given to `set`, or off
    get error       the pending error's name, or 0
    connect         ok
    send BYTES      how many bytes send() took
    recv BYTES      how many bytes recv() returned
    close           ok

A call that fails is answered ``error NAME``, such as ``error EAGAIN``; what is no command, ``usage``
and the commands.

What it shows: setsockopt() is a request. The kernel doubles it, bounds it, rounds it or refuses it,
so a program that wants to know asks back.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMANDS = "usage: set NAME VALUE…, get NAME, connect, send BYTES, recv BYTES, close"

# Options whose value is one int, by the name that they have in commands.
NUMBERS = {
    "rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    "sndbuf": (socket.SOL_SOCKET, socket.SO_SNDBUF),
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "maxseg": (socket.IPPROTO_TCP, socket.TCP_MAXSEG),
}

KEEPALIVE = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)

LINGER = struct.Struct("ii")  # struct linger: on or off, and seconds
TIMEVAL = struct.Struct("ll")  # struct timeval: seconds and microseconds


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


def are_numbers(words: list[str], count: int) -> bool:
    return len(words) == count and all(
        word.isascii() and word.isdigit() and len(word) <= 10 and int(word) < 2**31
        for word in words
    )


def set_option(sock: socket.socket, name: str, values: list[str]) -> str:
    """Ask the kernel for something. Whether it is refused is told by the exception."""
    if name in NUMBERS and are_numbers(values, 1):
        sock.setsockopt(*NUMBERS[name], int(values[0]))
    elif name == "keepalive" and values == ["off"]:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    elif name == "keepalive" and are_numbers(values, 3):
        # The times first: nothing is probed with the kernel's own two hours in between.
        for option, value in zip(KEEPALIVE, values, strict=True):
            sock.setsockopt(socket.IPPROTO_TCP, option, int(value))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    elif name == "linger" and values == ["off"]:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(0, 0))
    elif name == "linger" and are_numbers(values, 1):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, int(values[0])))
    elif name == "rcvtimeo" and are_numbers(values, 1):
        # Not settimeout(): that is Python's own, with poll() before each call, and no errno.
        seconds, ms = divmod(int(values[0]), 1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEVAL.pack(seconds, ms * 1000))
    else:
        return COMMANDS
    return "ok"


def get_option(sock: socket.socket, name: str) -> str:
    """Return what the kernel says, which need not be what was asked for."""
    if name in NUMBERS:
        return str(sock.getsockopt(*NUMBERS[name]))
    if name == "keepalive":
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            return "off"
        return " ".join(str(sock.getsockopt(socket.IPPROTO_TCP, option)) for option in KEEPALIVE)
    if name == "linger":
        is_on, seconds = LINGER.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.size)
        )
        return str(seconds) if is_on else "off"
    if name == "rcvtimeo":
        seconds, us = TIMEVAL.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEVAL.size)
        )
        return str(seconds * 1000 + us // 1000)
    if name == "error":
        # Reading it clears it: whoever looks is the last to see it.
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return errno.errorcode.get(number, str(number)) if number else "0"
    return COMMANDS


def obey(sock: socket.socket, server: tuple[str, int], words: list[str]) -> str:
    """Carry out one command and return the answer."""
    try:
        match words:
            case ["set", name, *values]:
                return set_option(sock, name, values)
            case ["get", name]:
                return get_option(sock, name)
            case ["connect"]:
                sock.connect(server)
                return "ok"
            case ["send", size] if are_numbers([size], 1) and int(size) <= 1 << 20:
                return str(sock.send(b"x" * int(size)))
            case ["recv", size] if are_numbers([size], 1) and int(size) <= 1 << 20:
                return str(len(sock.recv(int(size))))
            case ["close"]:
                sock.close()
                return "ok"
            case _:
                return COMMANDS
    except OSError as error:
        return f"error {errno.errorcode.get(error.errno or 0)}"


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: sockopts ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    server = endpoint(*arguments)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        while True:
            with calling("read"):
                line = sys.stdin.buffer.readline()
            if not line:
                return
            say(obey(sock, server, line.decode("ascii", "replace").split()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
