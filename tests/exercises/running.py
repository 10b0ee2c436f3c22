"""Starts the exercise programs as a student would; nothing here waits without a limit."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.limits import LIMIT_S

_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}

EXERCISES = Path(__file__).parent.parent.parent / "exercises"


def reference(name: str) -> str:
    """Return the path of a program, such as ``udp-time/time_server``."""
    exercise, program = name.split("/")
    [path] = EXERCISES.glob(f"??-{exercise}/reference/{program}.py")
    return str(path)


def run(
    name: str,
    *arguments: str | bytes,
    stdin: bytes = b"",
    stdout: int = subprocess.PIPE,
    prefix: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, outside of the checkout so that nothing hangs on the folder."""
    return subprocess.run(
        [*prefix, reference(name), *arguments],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=LIMIT_S,
        env=_environment(),
        cwd="/",
    )


class Running:
    """A program that has been started, and is fed and read step by step."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._unread = b""

    def write(self, text: bytes) -> None:
        """Type something."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)

    def end_input(self) -> None:
        """Type Ctrl-D."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def line(self) -> str:
        """Return the next line of the output."""
        assert self.process.stdout is not None
        deadline_s = time.monotonic() + LIMIT_S
        while b"\n" not in self._unread:
            left_s = max(0.0, deadline_s - time.monotonic())
            ready, _, _ = select.select([self.process.stdout], [], [], left_s)
            assert ready, f"no line within {LIMIT_S} s, only {self._unread!r}"
            chunk = os.read(self.process.stdout.fileno(), 65536)
            assert chunk, f"the output ended after {self._unread!r}"
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def ask(self, command: bytes) -> str:
        """Type a line and return the line that answers it."""
        self.write(command + b"\n")
        return self.line()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Freeze the program; on return none of it runs."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and stderr."""
        assert self.process.stderr is not None
        code = self.process.wait(LIMIT_S)
        return code, self.process.stderr.read().decode()


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Running]:
    """Start a program, and end it when the block ends."""
    with subprocess.Popen(
        [reference(name), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=_environment(),
        cwd="/",
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@contextmanager
def serving(name: str) -> Iterator[tuple[Running, tuple[str, int]]]:
    """Start a server on a port that the kernel chooses; yield it with its address when READY."""
    with running(name, "127.0.0.1", "0") as server:
        bound = server.line()
        assert bound.startswith("bound to 127.0.0.1:")
        assert server.line() == "READY"
        yield server, ("127.0.0.1", int(bound.rpartition(":")[2]))


@contextmanager
def udp_peer() -> Iterator[tuple[socket.socket, tuple[str, str]]]:
    """Yield a UDP socket for a scripted peer, and its address as a program's arguments."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(LIMIT_S)
        peer.bind(("127.0.0.1", 0))
        yield peer, ("127.0.0.1", str(peer.getsockname()[1]))


@contextmanager
def tcp_peer() -> Iterator[tuple[socket.socket, tuple[str, str]]]:
    """Yield a listening socket for a scripted peer, and its address as a program's arguments."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_S)
        yield listener, ("127.0.0.1", str(listener.getsockname()[1]))


@contextmanager
def nobody(kind: Literal["TCP", "UDP"]) -> Iterator[tuple[str, str]]:
    """Yield a port that refuses, as a program's arguments; nobody else gets it meanwhile."""
    with socket.socket(socket.AF_INET, _KINDS[kind]) as deaf:
        deaf.bind(("127.0.0.1", 0))
        if kind == "UDP":
            deaf.connect(deaf.getsockname())  # it hears itself and nobody else
        yield "127.0.0.1", str(deaf.getsockname()[1])


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=LIMIT_S)


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(LIMIT_S)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read to the end of the stream."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _environment() -> dict[str, str]:
    # The interpreter of the tests, by the programs' own first line; no __pycache__ in exercises/.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
