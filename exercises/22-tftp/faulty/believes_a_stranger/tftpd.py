#!/usr/bin/env python3
"""Send and receive files over UDP, for many clients at the same time: TFTP, RFC 1350.

usage: tftpd [-r DIR] [-t MS] ADDRESS PORT

Serves the files below DIR (the current directory) and no others, in mode octet. A packet that is
not answered within MS milliseconds (1000) is sent again, five times in all. Prints ``READY``, then
a line for each transfer that is over: ``A:P: REASON``.

What it shows: a UDP server with a dialogue. The well-known port takes requests only. Each transfer
has a socket of its own with a port of its own, the server's transfer identifier (TID); so the
kernel sorts the packets of all transfers, and each thread sees those of one.
"""

import errno
import getopt
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import BinaryIO

from tftp_protocol import (
    ACCESS_VIOLATION,
    ACK,
    BLOCK_SIZE,
    BUFFER_SIZE,
    DATA,
    DISK_FULL,
    ERROR,
    FAILED,
    FILE_EXISTS,
    NOT_FOUND,
    RRQ,
    UNKNOWN_TID,
    Block,
    TransferError,
    operation_of,
    pack_block,
    pack_error,
    unpack_block,
    unpack_request,
)

Address = tuple[str, int]

TRIES = 5

# A request costs its sender one datagram, and us a thread for seconds.
MOST_TRANSFERS = 40


class GoneError(Exception):
    """The client has ended the transfer, or does not answer any more."""


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


def options(arguments: list[str]) -> tuple[str, int, Address]:
    """Check what the user typed; return the folder, the milliseconds and where to listen."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "r:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: tftpd [-r DIR] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    chosen = {"-r": ".", "-t": "1000"} | dict(given)
    wait_ms = chosen["-t"]
    if not (wait_ms.isascii() and wait_ms.isdigit() and 1 <= len(wait_ms) <= 5 and int(wait_ms)):
        sys.exit(f'error: -t: "{wait_ms}" is not a number from 1 to 99999')
    return os.path.realpath(chosen["-r"]), int(wait_ms), endpoint(address, port)


class Transfer:
    """The packets of one transfer, on a socket of its own."""

    def __init__(self, address: str, client: Address, wait_s: float) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client = client
        self.wait_s = wait_s
        # Port 0: the kernel chooses one that is free. connect() would be wrong here: then the
        # kernel would refuse a stranger's packet with ICMP, and he is to get ERROR 5.
        self.sock.bind((address, 0))

    def send(self, packet: bytes, to: Address | None = None) -> None:
        with suppress(OSError):  # as good as lost on the way, and that is provided for
            self.sock.sendto(packet, to or self.client)

    def exchange(self, mine: Block, wanted: Block, repeated: Block | None = None) -> Block:
        """Send a block until the wanted answer comes, and return that. Raises ``GoneError``.

        ``repeated`` is what the client sends again if it has not got this block.
        """
        for _ in range(TRIES):
            self.send(pack_block(mine))
            deadline = time.monotonic() + self.wait_s
            while (answer := self.receive(deadline)) is not None:
                if answer[:2] == wanted[:2]:
                    return answer
                if repeated and answer[:2] == repeated[:2]:
                    self.send(pack_block(mine))
                # Everything else is old. To answer an old ACK with DATA would double every packet
                # from here on, the Sorcerer's Apprentice: only our own clock sends DATA again.
        raise GoneError("no answer")

    def receive(self, deadline: float) -> Block | None:
        """Return the client's next DATA or ACK, or None if none comes in time."""
        while (left_s := deadline - time.monotonic()) > 0:
            self.sock.settimeout(left_s)
            try:
                datagram, sender = self.sock.recvfrom(BUFFER_SIZE)
            except TimeoutError:
                return None
            self.client = sender
            if operation_of(datagram) == ERROR:
                raise GoneError("the client has ended it")
            elif block := unpack_block(datagram):
                return block
        return None

    def linger(self, last: Block) -> None:
        """Acknowledge the last DATA again, as long as the client may not have seen that."""
        deadline = time.monotonic() + TRIES * self.wait_s
        while (block := self.receive(deadline)) is not None:
            if block[:2] == (DATA, last.number):
                self.send(pack_block(last))


def send_file(transfer: Transfer, file: BinaryIO) -> None:
    for number in count(1):
        content = file.read(BLOCK_SIZE)
        transfer.exchange(Block(DATA, number, content), Block(ACK, number))
        # A file of 1024 bytes ends with a third block that is empty: the second is full, and says
        # that there is more.
        if len(content) < BLOCK_SIZE:
            return


def receive_file(transfer: Transfer, file: BinaryIO) -> Block:
    """Write what the client sends; return the last ACK, which is still to be sent."""
    for number in count(1):
        # Each ACK asks for the next block; ACK 0 is the answer to the request.
        block = transfer.exchange(
            Block(ACK, number - 1), Block(DATA, number), Block(DATA, number - 1)
        )
        file.write(block.content)
        if len(block.content) < BLOCK_SIZE:
            break
    file.flush()  # what cannot be kept must not be acknowledged
    return Block(ACK, number)


def path_below(folder: str, name: bytes) -> str:
    """Return where the file is. Raises ``TransferError`` for a name that leads out of the folder."""
    # realpath follows ".." and links; so a link that leads out is out as well. An absolute name
    # is, too: join() takes it as it is.
    path = os.path.realpath(os.path.join(folder, os.fsdecode(name)))
    if os.path.commonpath([folder, path]) != folder:
        raise TransferError(ACCESS_VIOLATION, "access violation")
    return path


def open_for_reading(path: str) -> BinaryIO:
    # O_NONBLOCK: to open a FIFO would wait for whoever writes into it.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise TransferError(ACCESS_VIOLATION, "not a file")
    return os.fdopen(fd, "rb")


def told(error: OSError) -> TransferError:
    """Return what the client is told of a call that failed."""
    code, text = {
        errno.ENOENT: (NOT_FOUND, "file not found"),
        errno.EEXIST: (FILE_EXISTS, "file already exists"),
        errno.EACCES: (ACCESS_VIOLATION, "access violation"),
        errno.ENOTDIR: (NOT_FOUND, "file not found"),
        errno.ENOSPC: (DISK_FULL, "disk full"),
    }.get(error.errno or 0, (FAILED, str(error.strerror)))
    return TransferError(code, text)


def converse(transfer: Transfer, folder: str, datagram: bytes) -> None:
    """Carry out one request to its end. Raises ``TransferError`` or ``GoneError``."""
    request = unpack_request(datagram)
    path = path_below(folder, request.name)
    try:
        if request.operation == RRQ:
            with open_for_reading(path) as file:
                send_file(transfer, file)
            return
        # "x" creates the file or fails, in one step: of two clients one is the first.
        with open(path, "xb") as file:
            try:
                last = receive_file(transfer, file)
            except BaseException:
                os.unlink(path)  # half a file is none
                raise
        transfer.send(pack_block(last))
        transfer.linger(last)
    except OSError as error:
        raise told(error) from None


def serve(address: str, client: Address, wait_s: float, folder: str, datagram: bytes) -> None:
    """Carry out one request in a thread of its own; nothing of it may harm the others."""
    transfer = Transfer(address, client, wait_s)
    with transfer.sock:
        try:
            converse(transfer, folder, datagram)
            reason = "done"
        except GoneError as error:
            reason = str(error)
        except TransferError as error:
            # Sent once: if it is lost, the client finds out by its own timeout.
            transfer.send(pack_error(error))
            reason = f"error {error.code}, {error}"
    say(f"{client[0]}:{client[1]}: {reason}")


def main(arguments: list[str]) -> None:
    folder, wait_ms, wanted = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("bind"):
            sock.bind(wanted)
        if wanted[1] == 0:
            say(f"bound to {sock.getsockname()[0]}:{sock.getsockname()[1]}")
        say("READY")
        while True:
            with calling("recvfrom"):
                datagram, client = sock.recvfrom(BUFFER_SIZE)
            # An error is never answered with an error: two servers would do that for ever.
            if operation_of(datagram) == ERROR or threading.active_count() > MOST_TRANSFERS:
                continue
            work = (wanted[0], client, wait_ms / 1000, folder, datagram)
            threading.Thread(target=serve, args=work, daemon=True).start()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
