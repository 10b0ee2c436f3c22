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
    # inet_pton() knows one form only: four decimal numbers from 0 to 255, three dots.
    #
    # Its older sister inet_aton() takes a good deal more, and surprises people with it:
    #   127.1        is 127.0.0.1   (the last number fills all the bytes that are left)
    #   0x7f.1       is 127.0.0.1   (hexadecimal)
    #   010.0.0.1    is 8.0.0.1     (a leading zero means octal)
    #   2130706433   is 127.0.0.1   (one number, 32 bits)
    #   "1.2.3.4 x"  is 1.2.3.4     (whatever follows a blank is not looked at)
    # A filter that reads addresses by one rule, in front of a server that reads them by the
    # other, lets through what it should have stopped. Hence: inet_pton().
    try:
        packed = socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeError):  # the second: bytes on the command line that are no UTF-8
        sys.exit(f'error: inet_pton: "{text}" is not an IPv4 address')
    return f"{text} -> {packed.hex()} -> {socket.inet_ntop(socket.AF_INET, packed)}"


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
