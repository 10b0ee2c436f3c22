#!/usr/bin/env python3
"""Listen to a multicast group from one source, or from all but some, and print what comes.

usage: source_listener ADDRESS PORT

ADDRESS is this host's own, and says by which interface groups are joined. Prints ``READY``, then
reads one command a line and answers each with ``ok``, or ``error: COMMAND: NAME (TEXT)``:

    join GROUP SOURCE       hear GROUP from SOURCE; may be said for several sources
    leave GROUP SOURCE      … no more from this one
    join GROUP              hear GROUP from anybody
    leave GROUP             … no more, from nobody
    block GROUP SOURCE      … from anybody but SOURCE
    unblock GROUP SOURCE    … and from SOURCE again

Each datagram for PORT that these let pass is a line ``from=A:P to=GROUP ttl=N TEXT``. Ends at the
end of its input.

What it shows: a receiver can say whom it wants to hear. The filter is the socket's; what all sockets
of the host want together is reported to the router, which then forwards no more than that.
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
IP_MULTICAST_ALL = 49
OPTIONS = {
    ("join", 1): socket.IP_ADD_MEMBERSHIP,
    ("leave", 1): socket.IP_DROP_MEMBERSHIP,
    ("join", 2): 39,  # IP_ADD_SOURCE_MEMBERSHIP
    ("leave", 2): 40,  # IP_DROP_SOURCE_MEMBERSHIP
    ("block", 2): 38,  # IP_BLOCK_SOURCE
    ("unblock", 2): 37,  # IP_UNBLOCK_SOURCE
}
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
        with calling("socket"):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with calling("setsockopt"):
            # For multicast this means: several programs may have the port, and each gets a copy.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            self.sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            # By default a socket that has no membership in a group gets all of it as soon as some
            # other program of the host has joined it: also after the last of ours has ended.
            self.sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        # Not to the interface's address: bind() selects by destination, and that is the group.
        with calling("bind"):
            self.sock.bind(("0.0.0.0", port))

    def obey(self, line: str) -> str:
        """Carry out a command; return the answer."""
        word, *addresses = line.split() or [""]
        option = OPTIONS.get((word, len(addresses)))
        if option is None or not all(map(is_address, addresses)):
            return "error: command: join, leave, block or unblock, a group and a source"
        # struct ip_mreq: group, interface. struct ip_mreq_source: the same, then the source; other
        # systems have the source before the interface, so in C go by the names of the fields.
        group, *source = map(socket.inet_aton, addresses)
        request = b"".join([group, *source, socket.inet_aton(self.interface)])
        try:
            self.sock.setsockopt(socket.IPPROTO_IP, option, request)
        except OSError as error:
            return f"error: {word}: {described(error)}"
        return "ok"

    def receive(self) -> None:
        """Take one datagram; print it if it is for a group."""
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
        # Which groups and sources, the kernel has looked at; but unicast comes, too.
        if is_group(group):
            # repr(): what somebody sent may hold anything, also commands for the terminal.
            say(f"from={address}:{port} to={group} ttl={ttl} {repr(text)[2:-1]}")


def is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeError):
        return False
    return True


def is_group(address: str) -> bool:
    return 224 <= int(address.partition(".")[0] or 0) <= 239


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
        print("usage: source_listener ADDRESS PORT", file=sys.stderr)
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
