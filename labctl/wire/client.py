"""Starts a lab's emulator and asks it; the other end is ``labctl.wire.emulator``."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.errors import machine_error
from labctl.kernel import messages
from labctl.kernel.control import Control
from labctl.kernel.control_path import socket_path
from labctl.kernel.state import LabState
from labctl.kernel.wire import HIDDEN

EMULATOR = "(wire)"
"""The emulator's name among the lab's programs. No other program can be called this."""

SOCKET = "wire"
"""Where it listens, in the lab's folder."""

_ANSWERS_WITHIN_S = 10.0
"""The first answer waits for the interpreter to start; others come at once."""


class EmulatorSilent(Exception):
    """It has ended, or does not answer."""


class EmulatorClient:
    """The emulator of one lab, whether it runs or not."""

    def __init__(self, state: LabState, control: Control) -> None:
        self._state = state
        self._control = control

    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return any(
            program.name == EMULATOR and program.ended is None
            for program in self._control.programs()
        )

    def start(self) -> None:
        """Start it. Requests may be sent at once: they wait until it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                os.unlink(self._state.file(SOCKET))  # of one that died
            except FileNotFoundError:
                pass
            with socket_path(self._state, SOCKET) as path:
                listener.bind(path)
            listener.listen(16)
            self._control.start(
                EMULATOR,
                "",
                HIDDEN,
                [sys.executable, "-m", "labctl.wire.emulator"],
                environment=_environment(),
                cwd="/",
                stdin_fd=listener.fileno(),
            )

    def ask(self, request: Mapping[str, object], fds: Sequence[int] = ()) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises ``EmulatorSilent``, and ``LabError`` where it refuses.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(_ANSWERS_WITHIN_S)
            try:
                with socket_path(self._state, SOCKET) as path:
                    sock.connect(path)
                messages.send(sock, request, fds)
                answer, _ = messages.receive(sock)
            except OSError as error:
                raise EmulatorSilent(error.strerror or "no answer in time") from error
        if answer is None:
            raise EmulatorSilent("it has ended")
        if "error" in answer:
            raise machine_error(f"the emulator refused: {answer['error']}")
        return answer


def _environment() -> dict[str, str]:
    """Return what Python needs to find this very labctl, and nothing else."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {"PYTHONPATH": package, "PATH": os.environ.get("PATH", os.defpath)}
