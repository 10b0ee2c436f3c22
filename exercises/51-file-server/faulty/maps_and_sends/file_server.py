#!/usr/bin/env python3
"""Serve the files of the current directory, without their bytes passing through this program.

usage: file_server [ADDRESS [PORT]]        (0.0.0.0 8082)

A client sends ``GET NAME`` LF, and gets ``SIZE`` LF and SIZE bytes, or ``error REASON`` LF; then it
may ask again. Prints ``READY``, then a line for each client that comes and goes.

What it shows: sendfile() hands the pages that the kernel has of a file to a socket, without copying
them into the memory of a program and out again. It may send less than it was asked to, and nothing
at all when the file has become shorter.
"""

import errno
import mmap
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_LINE = 300  # longer than any good request; without a limit one client could fill the memory
MAX_AT_ONCE = 1 << 20


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


def is_name(name: bytes) -> bool:
    """Whether it names a file in this directory: no path, nothing hidden, not `..`."""
    return (
        1 <= len(name) <= 255
        and all(0x21 <= byte <= 0x7E for byte in name)
        and b"/" not in name
        and not name.startswith(b".")
    )


def open_file(name: bytes) -> tuple[int, int]:
    """Open a file to read; return its descriptor and its size."""
    # O_NONBLOCK: opening a FIFO would wait for somebody to write into it.
    file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    # Asked of the open file, not of the name: between two calls the name may get another.
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file")
    return file, status.st_size


def send_file(connection: socket.socket, file: int, size: int) -> None:
    """Send the size and the file. Raises ``EOFError`` where the file has become shorter."""
    # MSG_MORE: more follows at once, so the line waits for it and they travel in one segment.
    line = b"%d\n" % size
    connection.sendall(line, socket.MSG_MORE if size else 0)
    if size:
        with mmap.mmap(file, size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            connection.sendall(view)


def answer(connection: socket.socket, line: bytes) -> None:
    """Carry out one request."""
    verb, _, name = line.partition(b" ")
    try:
        if verb != b"GET" or not is_name(name):
            raise OSError(errno.EINVAL, "not a request")
        file, size = open_file(name)
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "EIO")
        connection.sendall(f"error {reason}\n".encode())
        return
    try:
        send_file(connection, file, size)
    finally:
        os.close(file)


def converse(connection: socket.socket) -> str:
    """Serve one client to the end; return why it ended."""
    buffer = b""
    while True:
        line, end, rest = buffer.partition(b"\n")
        if end:
            answer(connection, line)
            buffer = rest
        elif len(buffer) > MAX_LINE:
            connection.sendall(b"error EINVAL\n")
            return "line too long"
        elif received := connection.recv(4096):
            buffer += received
        else:
            return "end of the stream"


def serve_one(connection: socket.socket, client: str) -> None:
    with connection:
        try:
            reason = converse(connection)
        except EOFError as error:
            reason = str(error)
        except OSError as error:
            # A client that leaves in the middle of a file: EPIPE or ECONNRESET. It ends this
            # client, not the server, and the file is closed on the way out.
            reason = f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})"
    say(f"closed {client}: {reason}")


def serve(listener: socket.socket) -> None:
    """Give each client a thread of its own, for ever."""
    while True:
        with calling("accept"):
            connection, (address, port) = listener.accept()
        say(f"accepted {address}:{port}")
        thread = threading.Thread(target=serve_one, args=(connection, f"{address}:{port}"))
        thread.daemon = True  # Ctrl-C does not wait for clients
        thread.start()


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: file_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8082"][len(arguments) :]
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
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
