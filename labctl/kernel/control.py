"""Talks to a lab's holder; the other end is ``labctl.kernel.holder``."""

import os
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from labctl.errors import LabError, machine_error
from labctl.kernel import messages
from labctl.kernel.control_path import socket_path
from labctl.kernel.state import LabState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.kernel.confine import Recipe

ANSWER_WITHIN_S = 30.0
"""A holder answers at once, unless it is stopped or the machine stands still."""


class ProgramStatus(NamedTuple):
    """A program that the holder started, as it was when asked."""

    name: str
    node: str
    argv: tuple[str, ...]
    pid: int
    """Inside the lab's pid namespace."""
    started: float
    """Seconds since 1970, as ``ended``."""
    ended: float | None
    exit_status: int | None
    """Negative: the number of the signal that ended it."""


class RequestRefused(LabError):
    """The holder could not do what it was asked; ``errno`` is 0 where no system call failed."""

    def __init__(self, text: str, errno: int) -> None:
        super().__init__(f"the lab's holder refused: {text}", exit_code=3)
        self.text = text
        self.errno = errno


class Control:
    """The requests that a lab's holder answers. Each is one connection of its own.

    Every method raises ``LabError`` where the lab ends meanwhile.
    """

    def __init__(self, state: LabState) -> None:
        self._state = state

    def start(
        self,
        name: str,
        node: str,
        netns: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        stdin_fd: int | None = None,
        stdout_fd: int | None = None,
        stderr_fd: int | None = None,
        recipe: "Recipe | None" = None,
    ) -> ProgramStatus:
        """Start a program. Raises ``RequestRefused`` where it cannot be executed.

        What it writes to a file that is given here does not come into its log. With a recipe it is
        started in such a sandbox, which brings an environment and a current folder of its own.
        """
        given = {"stdin": stdin_fd, "stdout": stdout_fd, "stderr": stderr_fd}
        files = {name: fd for name, fd in given.items() if fd is not None}
        request = {
            "do": "start",
            "name": name,
            "node": node,
            "netns": netns,
            "argv": list(argv),
            "env": dict(environment),
            "cwd": cwd,
            "files": list(files),
            "recipe": recipe,
        }
        answer, _ = self._ask(request, list(files.values()))
        return _program(answer)

    def programs(self) -> list[ProgramStatus]:
        """Return every program that was started, running or ended, oldest first."""
        answer, _ = self._ask({"do": "list"})
        programs = answer["programs"]
        assert isinstance(programs, list)
        return [_program(program) for program in programs]

    def signal(self, name: str, number: int) -> ProgramStatus:
        """Send a signal to a program's process group."""
        answer, _ = self._ask({"do": "signal", "name": name, "signal": number})
        return _program(answer)

    def wait(self, name: str, timeout_s: float | None) -> ProgramStatus | None:
        """Wait until a program has ended; ``None`` if it has not within the time."""
        try:
            answer, _ = self._exchange({"do": "wait", "name": name}, (), timeout_s)
        except TimeoutError:
            return None
        return _program(answer)

    def open_socket(self, netns: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a socket that lives in a node of the lab, as socket(2) would make it there."""
        request = {
            "do": "socket",
            "netns": netns,
            "family": family,
            "type": kind,
            "protocol": protocol,
        }
        _, fds = self._ask(request)
        return socket.socket(family, kind, protocol, fileno=fds[0])

    def _ask(
        self, request: Mapping[str, object], fds: Sequence[int] = ()
    ) -> tuple[dict[str, object], list[int]]:
        try:
            return self._exchange(request, fds, ANSWER_WITHIN_S)
        except TimeoutError:
            raise machine_error(
                f'the holder of the lab "{self._state.name}" does not answer',
                hint="was it stopped? `labctl status` shows its process: kill -CONT PID",
            ) from None

    def _exchange(
        self, request: Mapping[str, object], fds: Sequence[int], timeout_s: float | None
    ) -> tuple[dict[str, object], list[int]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            self._connect(sock)
            sock.settimeout(timeout_s)
            try:
                try:
                    messages.send(sock, request, fds)
                except BrokenPipeError:
                    pass  # turned away before it was sent: the answer is there, and says why
                answer, received = messages.receive(sock)
                if received:
                    sock.recv(1)  # its end: the holder has no copy any more
            except TimeoutError:
                raise
            except OSError as error:
                raise self._gone() from error
        if answer is None:
            raise self._gone()
        if "error" in answer:
            for fd in received:
                os.close(fd)
            raise RequestRefused(answer["error"], answer.get("errno") or 0)
        return answer, received

    def _connect(self, sock: socket.socket) -> None:
        try:
            with socket_path(self._state, "control") as path:
                sock.connect(path)
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> LabError:
        return machine_error(
            f'the lab "{self._state.name}" has ended', hint=f"labctl up {self._state.name}"
        )


def _program(answer: dict[str, object]) -> ProgramStatus:
    argv = answer["argv"]
    assert isinstance(argv, list)
    return ProgramStatus(**{**answer, "argv": tuple(argv)})  # type: ignore[arg-type]
