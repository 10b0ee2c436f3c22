#!/usr/bin/env python3
"""Convert an IPv4 address from text to its four bytes, and back.

usage: addrconv TEXT

Prints one line, ``text -> bytes -> text``, and exits 0:

    $ addrconv 192.168.1.100
    192.168.1.100 -> c0a80164 -> 192.168.1.100

Text that is no address: one line ``error: ...`` on stderr, exit 1.

What it shows: a program that wants to use an address needs the four bytes; the dots are for
people. The bytes are in network order, the most significant first, on every machine.
"""

import errno
import os
import socket
import sys


def convert(text: str) -> str:
    """Return ``text -> bytes -> text``, or end the program if the text is no address."""
    try:
        packed = socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeError):  # the second: bytes on the command line that are no UTF-8
        sys.exit(f'error: inet_pton: "{text}" is not an IPv4 address')
    number = int.from_bytes(packed, "big")
    return f"{text} -> {number:x} -> {socket.inet_ntop(socket.AF_INET, packed)}"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        print("usage: addrconv TEXT", file=sys.stderr)
        sys.exit(2)
    line = convert(arguments[0])
    try:
        os.write(1, f"{line}\n".encode())
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: write: {name} ({error.strerror})")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
