#!/usr/bin/env python3
"""Tell the time to the client at the other end of descriptor 0.

usage: daytime <>SOCKET

To be started by inetd, which has accepted a connection and made it descriptors 0, 1 and 2. Protocol:
daytime, see daytime_protocol.py. Exit 0; 1 if descriptor 0 is no connection.

What it shows: how little is left of a server when somebody else listens and accepts. And that
stderr is the client as well: whoever prints a message for himself prints it to the network.
"""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from daytime_protocol import tell


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def main(arguments: list[str]) -> None:
    if arguments:
        print("usage: daytime <>SOCKET", file=sys.stderr)
        sys.exit(2)
    # Started by hand there is a terminal or a pipe; started by an inetd that was told `wait`, a
    # socket that listens.
    with calling("getpeername"):
        connection = socket.socket(fileno=0)
        address, port = connection.getpeername()
    print(f"connection from {address}:{port}", file=sys.stderr, flush=True)
    with calling("send"), connection:
        tell(connection)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
