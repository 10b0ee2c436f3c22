#!/usr/bin/env python3
"""Join multicast groups, leave them, and print what is sent to them.

usage: group_listener ADDRESS PORT

ADDRESS is this host's own, and says by which interface groups are joined. Prints ``READY``, then
reads one command a line and answers each with one:

    join GROUP       joined GROUP, or error: join: NAME (TEXT)
    leave GROUP      left GROUP, or error: leave: NAME (TEXT)

Each datagram for PORT of a group that is joined is a line ``from=A:P to=GROUP ttl=N TEXT``. Ends at
the end of its input.

What it shows: a group is an address that hosts have for as long as somebody there wants it. The
membership is the socket's, but what the host has joined is heard by every socket of the port.
"""

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# From <linux/in.h>; not every Python has names for them.
IP_PKTINFO = 8
IP_RECVTTL = 12
PKTINFO = struct.Struct("@i4s4s")  # interface, address to answer from, destination of the packet


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"error: {call}: {described(error)}")


def described(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'unknown error')} ({error.strerror})"


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


class Listener:
    """The socket and the groups that it has joined."""

    def __init__(self, interface: str, port: int) -> None:
        self.interface = interface
        self.groups: set[str] = set()
        with calling("socket"):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with calling("setsockopt"):
            # For multicast this means: several programs may have the port, and each gets a copy.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            self.sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        # Not to the interface's address: bind() selects by destination, and that is the group.
        with calling("bind"):
            self.sock.bind(("0.0.0.0", port))

    def obey(self, line: str) -> str:
        """Carry out a command; return the answer."""
        match line.split():
            case ["join" | "leave" as word, group] if is_address(group):
                try:
                    self.change(word, group)
                except OSError as error:
                    return f"error: {word}: {described(error)}"
                return f"{'joined' if word == 'join' else 'left'} {group}"
            case _:
                return "error: command: join GROUP or leave GROUP"

    def change(self, word: str, group: str) -> None:
        """Join or leave a group on our interface."""
        # With 0.0.0.0 in place of the interface the kernel would take the one that the route to
        # the group leads to, and there may be none: ENODEV.
        request = socket.inet_aton(group) + socket.inet_aton("0.0.0.0")
        if word == "join":
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            self.groups.add(group)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, request)
            self.groups.discard(group)

    def receive(self) -> None:
        """Take one datagram; print it if it is for a group of ours."""
        with calling("recvmsg"):
            try:
                # poll() may be wrong: a datagram with a bad checksum vanishes only now.
                text, notes, _, (address, port) = self.sock.recvmsg(2048, 256, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
        group, ttl = "", 0
        for level, kind, data in notes:
            if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                group = socket.inet_ntoa(PKTINFO.unpack(data)[2])
            elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TTL):
                ttl = struct.unpack("@i", data)[0]
        # The socket gets unicast and broadcast for its port, and by default also each group that
        # any other program of the host has joined (IP_MULTICAST_ALL, ip(7)).
        if group in self.groups:
            # repr(): what somebody sent may hold anything, also commands for the terminal.
            say(f"from={address}:{port} to={group} ttl={ttl} {repr(text)[2:-1]}")


def is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeError):
        return False
    return True


def serve(listener: Listener) -> None:
    """Obey commands and take datagrams, whichever comes, until the input ends."""
    pending = b""
    both = select.poll()
    both.register(0, select.POLLIN)
    both.register(listener.sock, select.POLLIN)
    while True:
        ready = [fd for fd, _ in both.poll()]
        if listener.sock.fileno() in ready:
            listener.receive()
        if 0 in ready:
            # Not readline(): it would keep a second line where poll() does not see it.
            with calling("read"):
                chunk = os.read(0, 4096)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                say(listener.obey(line.decode(errors="replace")))


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: group_listener ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    listener = Listener(*endpoint(arguments[0], arguments[1]))
    with listener.sock:
        say("READY")
        serve(listener)
    # With the socket its memberships end, and the kernel tells the network.


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
