#!/usr/bin/env python3
"""Wait for clients on many ports, and start a server for whoever comes.

usage: inetd FILE

A line of FILE is a service; # begins a comment:

    PORT stream tcp nowait|wait USER SERVER ARGUMENT...
    PORT dgram  udp wait        USER SERVER ARGUMENT...
    PORT stream tcp nowait      USER internal echo|discard|daytime|time|chargen

SERVER is a path; its arguments begin with its own name. Prints ``READY`` when all ports are open,
and again when SIGHUP has made it read FILE anew.

What it shows: a server needs to know nothing of the network. It reads from 0 and writes to 1, and
what these are is up to whoever started it.
"""

import errno
import os
import pwd
import re
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

INTERNAL = ("echo", "discard", "daytime", "time", "chargen")

SECONDS_1900_TO_1970 = 2208988800

# RFC 864: the 95 printing characters as a ring; each line of 72 begins one further.
RING = bytes(range(0x20, 0x7F))
LINES = [(RING + RING)[n : n + 72] + b"\r\n" for n in range(len(RING))]


class Service(NamedTuple):
    """A line of the configuration."""

    where: str
    """File and line, for complaints."""
    port: int
    is_stream: bool
    waits: bool
    user: str
    server: str
    """Empty for one that we are ourselves."""
    arguments: tuple[str, ...]


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
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse(where: str, line: str) -> Service:
    """Read one line. Raises ``ValueError`` that says what is wrong with it."""
    words = line.split()
    if len(words) < 7:
        raise ValueError("a service has at least seven words")
    port, kind, protocol, flag, user, server, *arguments = words
    if not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise ValueError(f'"{port}" is not a port')
    if (kind, protocol) not in (("stream", "tcp"), ("dgram", "udp")):
        raise ValueError(f'"{kind} {protocol}" is neither "stream tcp" nor "dgram udp"')
    if flag not in ("wait", "nowait"):
        raise ValueError(f'"{flag}" is neither "wait" nor "nowait"')
    if server == "internal":
        if len(arguments) != 1 or arguments[0] not in INTERNAL:
            raise ValueError(f"there is no internal {' '.join(arguments)}")
        server = ""
    elif kind == "dgram" and flag == "nowait":
        # The datagram stays until the server has read it: we would start one after the other.
        raise ValueError("a server of datagrams needs wait")
    is_stream = kind == "stream"
    return Service(where, int(port), is_stream, flag == "wait", user, server, tuple(arguments))


def read_configuration(path: str) -> list[Service]:
    """Return the services of a file; complain of the lines that are none."""
    services = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                where = f"{path}:{number}"
                try:
                    services.append(parse(where, line))
                except ValueError as error:
                    # One bad line is no reason to serve nothing.
                    note(f"{where}: {error}")
    return services


def daytime() -> bytes:
    return f"{time.ctime()}\r\n".encode()


def seconds_since_1900() -> bytes:
    return struct.pack("!I", (int(time.time()) + SECONDS_1900_TO_1970) % 2**32)


def serve_stream(name: str, connection: socket.socket) -> None:
    """Be one of the small services, until the client has enough. Runs in a process of its own."""
    if name == "daytime":
        connection.sendall(daytime())
    elif name == "time":
        connection.sendall(seconds_since_1900())
    elif name == "chargen":
        number = 0
        while True:
            # Many lines at a time: each call would be a segment.
            connection.sendall(b"".join(LINES[0] for n in range(19)))
            number += 19
    else:
        while data := connection.recv(65536):
            if name == "echo":
                connection.sendall(data)


def answer_datagram(name: str, sock: socket.socket) -> None:
    """Take one datagram and answer it."""
    # Not for ever: a datagram with a wrong checksum wakes us up, and is then thrown away.
    data, sender = sock.recvfrom(65536, socket.MSG_DONTWAIT)
    # The echo of another host, in whose name somebody wrote: the two of us would never end.
    if sender[1] < 1024 or name == "discard":
        return
    answers = {"daytime": daytime, "time": seconds_since_1900, "chargen": lambda: LINES[0]}
    sock.sendto(data if name == "echo" else answers[name](), sender)


def become(user: str) -> None:
    """Become that user for good. Raises ``OSError`` where we may not."""
    if user == "-":
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.EINVAL, f"there is no user {user}") from None
    if entry.pw_uid == os.geteuid():
        return
    # In this order: who is not root any more may not change his groups.
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def execute(service: Service, sock: socket.socket) -> None:
    """Become the server. Runs in a process of its own, and returns only where that fails."""
    complaints = os.dup(2)
    try:
        become(service.user)
        for fd in (0, 1, 2):
            os.dup2(sock.fileno(), fd)  # all others that Python has opened are close-on-exec
        os.execv(service.server, service.arguments)
    except OSError as error:
        line = f"{service.where}: {service.server}: {described(error)}\n"
        os.write(complaints, line.encode(errors="replace"))
    # Take it off, or the next look would find it, and start us again.
    if not service.is_stream:
        sock.recv(1, socket.MSG_DONTWAIT)
    elif service.waits:
        sock.accept()[0].close()


class SuperServer:
    """The sockets of all services, and the servers that run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.sockets: dict[Service, socket.socket] = {}
        self.waiting: dict[int, socket.socket] = {}
        """By the pid of the server that has it now, a socket that we leave alone."""
        self.read_again = False
        self._hear_signals()

    def _hear_signals(self) -> None:
        # A handler alone would not end select(): its byte in this pipe does.
        self.signals, wake_up = os.pipe()
        os.set_blocking(self.signals, False)
        os.set_blocking(wake_up, False)
        signal.set_wakeup_fd(wake_up)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.selector.register(self.signals, selectors.EVENT_READ)

    def configure(self) -> None:
        """Read the file; close what is not in it, open what is new, keep the rest."""
        wanted = {(s.port, s.is_stream): s for s in reversed(read_configuration(self.path))}
        for service, sock in list(self.sockets.items()):
            del self.sockets[service]
            new = wanted.pop((service.port, service.is_stream), None)
            if new is None:
                self._forget(sock)
            else:
                # The same socket, so that no client finds the port closed for a moment.
                self.sockets[new] = sock
                if sock not in self.waiting.values():
                    self._watch(new, sock)
        for service in reversed(wanted.values()):
            try:
                self.sockets[service] = self._open(service)
            except OSError as error:
                note(f"{service.where}: bind: {described(error)}")

    def _open(self, service: Service) -> socket.socket:
        kind = socket.SOCK_STREAM if service.is_stream else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET, kind)
        try:
            if service.is_stream:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("0.0.0.0", service.port))
            if service.is_stream:
                sock.listen(128)
        except OSError:
            sock.close()
            raise
        self._watch(service, sock)
        return sock

    def _watch(self, service: Service, sock: socket.socket) -> None:
        # Not blocking where we accept: the client may be gone by then. Whoever gets the socket
        # itself gets it as it expects a socket to be: this is a property of the socket, not ours.
        sock.setblocking(service.waits and bool(service.server))
        if sock.fileno() not in self.selector.get_map():
            self.selector.register(sock, selectors.EVENT_READ)

    def _forget(self, sock: socket.socket) -> None:
        if sock.fileno() in self.selector.get_map():
            self.selector.unregister(sock)
        self.waiting = {pid: s for pid, s in self.waiting.items() if s is not sock}
        sock.close()

    def run(self) -> None:
        while True:
            ready = [key.fileobj for key, _ in self.selector.select()]
            if self.signals in ready:
                self._after_signals()
            for service, sock in list(self.sockets.items()):
                if sock in ready and sock not in self.waiting.values():
                    try:
                        self._serve(service, sock)
                    except BlockingIOError:
                        pass  # the client has gone
                    except OSError as error:
                        note(f"{service.where}: {described(error)}")

    def _after_signals(self) -> None:
        hung_up = signal.SIGHUP in os.read(self.signals, 4096)
        # Several children that end are one SIGCHLD; who is not asked for stays a zombie.
        while (pid := ended_child()) is not None:
            sock = self.waiting.pop(pid, None)
            for service, other in self.sockets.items():
                if sock is other:
                    self._watch(service, sock)
        if hung_up:
            try:
                self.configure()
            except OSError as error:
                note(f"{self.path}: {described(error)}")  # all stays as it is
            say("READY")

    def _serve(self, service: Service, sock: socket.socket) -> None:
        """Somebody wants that service."""
        if not service.is_stream and not service.server:
            answer_datagram(service.arguments[0], sock)
        elif service.waits and service.server:
            pid = self._fork(service, sock)
            # From now on it is the server's. For us it would be ready all the time.
            self.waiting[pid] = sock
            self.selector.unregister(sock)
        else:
            connection, _ = sock.accept()
            with connection:  # our copy; the client sees the end when the server's is closed too
                connection.setblocking(True)
                self._fork(service, connection)

    def _fork(self, service: Service, sock: socket.socket) -> int:
        """Start a process for a client, and return its pid."""
        pid = os.fork()
        if pid:
            return pid
        try:
            # As they were: what is ignored would stay so, and Python ignores SIGPIPE.
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if service.server:
                execute(service, sock)
            else:
                for other in self.sockets.values():
                    other.close()  # a client of days ago must not keep the port
                serve_stream(service.arguments[0], sock)
        except OSError:
            pass  # the client has gone
        finally:
            os._exit(1)  # never back into the loop


def ended_child() -> int | None:
    """Ask for a process that has ended; return its pid."""
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return pid or None


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        print("usage: inetd FILE", file=sys.stderr)
        sys.exit(2)
    server = SuperServer(arguments[0])
    with calling("open"):
        server.configure()
    say("READY")
    server.run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
