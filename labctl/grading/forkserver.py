"""Forks a pytest for each run of checks, from a process that has loaded what all of them need.

To load pytest and the lab takes as long as many a run of checks does, and a class or ``verify`` has
hundreds of runs. So one process loads it all, once, and then only forks. It has one thread and does
nothing else, so that what it forks is as good as new.

A run is asked for by one message on a socket, with three descriptors: for the run's output, for its
events, and one end of a socket pair that is this run alone. On that the server takes one letter for
a signal, and says the exit status at the end; when it is closed, as by the death of whoever asked,
the run is killed. The server ends when nobody can ask any more.

An interrupt is repeated until the run has heard it. A ``KeyboardInterrupt`` is lost where Python
ignores exceptions: in ``__del__``, in a weak reference's callback (each import has one), and in those
of ``os.register_at_fork()``, which is where a signal is seen that comes during a fork.
"""

import array
import contextlib
import gc
import importlib
import io
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from labctl.errors import LabError, machine_error
from labctl.grading.endpoints import PATIENCE
from labctl.grading.files import last_lines
from labctl.kernel.namespaces import die_with_parent

_MOST_REQUEST_BYTES = 1 << 16
_FDS = 3
_INTERRUPT, _KILL = b"i", b"k"
_INTERRUPT_AGAIN_S = 5.0
"""Long enough for an interrupt to come through, also where many runs share a processor."""


class PytestRun:
    """One pytest that the server has been asked for."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.exit_status: int | None = None
        """As ``subprocess`` has it; None until the run has ended, or where the server has died."""

    def fileno(self) -> int:
        """Return what becomes readable when the run has ended."""
        return self._control.fileno()

    def wait(self, within_s: float | None = None) -> bool:
        """Wait until the run has ended; return whether it has."""
        if self._has_ended:
            return True
        self._control.settimeout(within_s)
        try:
            said = self._control.recv(16)
        except (TimeoutError, BlockingIOError):
            return False
        except ConnectionError:
            said = b""
        if said:
            self.exit_status = int(said)
        self.close()
        return True

    def interrupt(self) -> None:
        """Have a KeyboardInterrupt in it."""
        self._say(_INTERRUPT)

    def kill(self) -> None:
        """Have it gone, at once."""
        self._say(_KILL)

    def close(self) -> None:
        """Let go of it; if it still runs it is killed."""
        self._control.close()

    @property
    def _has_ended(self) -> bool:
        return self._control.fileno() < 0

    def _say(self, letter: bytes) -> None:
        if self._has_ended:
            return
        try:
            self._control.send(letter)
        except OSError:
            pass  # the server is gone, and the run with it; or another thread has let go of it


class ForkServer:
    """The process that forks; to be started where there is one thread only.

    ``patience`` is how many times as long as usual checks wait for what should come at once. Forks
    of this process may ask the same server, and several threads.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self.patience = patience
        self._was_asked = False
        self._going_on: weakref.WeakSet[PytestRun] = weakref.WeakSet()
        self._is_interrupted = False
        self._starting = threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._output_fd = os.memfd_create("output of a fork server")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._output_fd,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=_environment(patience),
                # Out of the terminal's reach: whoever asked hears Ctrl-C, and ends each run once.
                start_new_session=True,
            )

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(
        self, options: Sequence[str], *, cwd: str, scratch: str, output_fd: int, events_fd: int
    ) -> PytestRun:
        """Start ``pytest OPTIONS``; it also gets the option that says where events go.

        ``scratch`` is where it makes temporary files. Raises ``LabError`` where the server is dead.
        """
        self._was_asked = True
        request = json.dumps({"options": list(options), "cwd": cwd, "scratch": scratch}).encode()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                socket.send_fds(self._requests, [request], [output_fd, events_fd, theirs.fileno()])
            except OSError as error:
                ours.close()
                raise machine_error(
                    f"the process that starts checks is gone: {error.strerror}",
                    output="\n".join(self.last_output()),
                ) from None
        run = PytestRun(ours)
        with self._starting:
            self._going_on.add(run)
            if self._is_interrupted:
                run.interrupt()
        return run

    def interrupt(self) -> None:
        """Have a KeyboardInterrupt in each run, those too that another thread is about to start."""
        with self._starting:
            self._is_interrupted = True
            runs = list(self._going_on)
        for run in runs:
            run.interrupt()

    def close(self) -> None:
        """End the server, and every run that it still has."""
        self._requests.close()
        if not self._was_asked:
            self._process.kill()  # it may still be loading, for nobody
        self._process.wait()
        os.close(self._output_fd)

    def last_output(self) -> list[str]:
        """Return what the server itself has printed: why it died, if it did."""
        return last_lines(self._output_fd)


def _environment(patience: float) -> dict[str, str]:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # The user's own plugins and options for pytest have no say in what a check finds.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {
        **own,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": package,
        PATIENCE: f"{patience:g}",
    }


class _Request(NamedTuple):
    options: list[str]
    cwd: str
    scratch: str
    output_fd: int
    events_fd: int


class _Child:
    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.control = control
        self.interrupt_at = math.inf

    def interrupt(self) -> None:
        os.kill(self.pid, signal.SIGINT)
        self.interrupt_at = time.monotonic() + _INTERRUPT_AGAIN_S

    def close(self) -> None:
        os.close(self.pidfd)
        self.control.close()


class _Server:
    """The process itself; ``serve`` returns in each fork with what it is to do."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: list[_Child] = []
        # Not epoll, whose registrations a fork would share.
        self._selector = selectors.PollSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> _Request | None:
        """Fork for each request; return None in the server, when nobody can ask any more."""
        while True:
            for key, _ in self._selector.select(self._interrupt_again()):
                child: _Child | None = key.data
                if child is None:
                    message, fds = self._receive()
                    if not message:
                        self._end()
                        return None
                    if request := self._fork(message, fds):
                        return request
                elif key.fileobj == child.pidfd:
                    self._reap(child)
                elif child in self._children:
                    self._obey(child)

    def _interrupt_again(self) -> float | None:
        """Interrupt those that it is time for; return in how many seconds the next one is due."""
        now = time.monotonic()
        for child in self._children:
            if child.interrupt_at <= now:
                child.interrupt()
        next_at = min((child.interrupt_at for child in self._children), default=math.inf)
        return None if next_at == math.inf else next_at - now

    def _receive(self) -> tuple[bytes, list[int]]:
        # As socket.recv_fds(), which would leave the descriptors to every program that is executed.
        message, ancillary, _, _ = self._requests.recvmsg(
            _MOST_REQUEST_BYTES,
            socket.CMSG_LEN(_FDS * array.array("i").itemsize),
            socket.MSG_CMSG_CLOEXEC,
        )
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        return message, list(fds)

    def _fork(self, message: bytes, fds: list[int]) -> _Request | None:
        output_fd, events_fd, control_fd = fds
        server = os.getpid()
        # What interrupts a fork is lost in the callbacks of os.register_at_fork(); it has to wait.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        pid = os.fork()
        if pid == 0:
            self._selector.close()
            self._requests.close()
            for other in self._children:
                other.close()
            os.close(control_fd)
            die_with_parent(signal.SIGKILL)
            if os.getppid() != server:
                os._exit(1)
            return _Request(**json.loads(message), output_fd=output_fd, events_fd=events_fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(output_fd)
        os.close(events_fd)
        child = _Child(pid, socket.socket(fileno=control_fd))
        self._children.append(child)
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        self._selector.register(child.control, selectors.EVENT_READ, child)
        return None

    def _obey(self, child: _Child) -> None:
        try:
            said = child.control.recv(1)
        except ConnectionError:
            said = b""
        if said == _INTERRUPT:
            child.interrupt()
        else:
            os.kill(child.pid, signal.SIGKILL)
        if not said:
            self._selector.unregister(child.control)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._children.remove(child)
        for fileobj in (child.pidfd, child.control):
            try:
                self._selector.unregister(fileobj)
            except KeyError:
                pass  # whoever asked is gone
        try:
            child.control.send(b"%d" % os.waitstatus_to_exitcode(status))
        except ConnectionError:
            pass
        child.close()

    def _end(self) -> None:
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)


class _Heard:
    """A plugin of pytest: an interrupt has come through, and labs are taken down in peace."""

    def pytest_keyboard_interrupt(self) -> None:
        # Not SIG_IGN, which the programs that are executed would inherit.
        signal.signal(signal.SIGINT, lambda number, frame: None)


_EACH_RUN_NEEDS = (
    "labctl.grading.judge",
    "labctl.kernel.holder",
    "labctl.observe.ladder",
    "labctl.testing",
    "labctl.topology.copies",
    "labctl.topology.load",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
)
"""Also what is imported late elsewhere, such as by the holder of every lab."""


def _load() -> None:
    """Load and find out once what each run would again, also what only most of them need."""
    import pytest

    from labctl.kernel.pcap import compile_filter
    from labctl.programs.sandbox import look_at_machine, why_no_sandbox

    for name in _EACH_RUN_NEEDS:
        importlib.import_module(name)
    # Imports the plugins that pytest itself consists of, and nothing of the folder we are in.
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "--markers"])
    # What is not there is told by the run that needs it.
    if not why_no_sandbox():
        look_at_machine()
    with contextlib.suppress(LabError):
        compile_filter("ip")
    # A collection in a fork would write to every object, and so copy all memory.
    gc.collect()
    gc.freeze()


def main(requests_fd: int) -> int:
    """Serve; and in each fork, run the checks that were asked for."""
    # Whatever it is for whoever started labctl: a run can be interrupted from its first moment on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import pytest

    import labctl.grading.plugin

    _load()
    request = _Server(socket.socket(fileno=requests_fd)).serve()
    if request is None:
        return 0
    for fd in (1, 2):
        os.dup2(request.output_fd, fd)
    os.close(request.output_fd)
    os.chdir(request.cwd)
    # All that it makes goes with it, however it ends.
    os.environ["TMPDIR"] = tempfile.tempdir = request.scratch
    options = [*request.options, f"--labctl-events-fd={request.events_fd}"]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return int(pytest.main(options, plugins=[labctl.grading.plugin, _Heard()]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
