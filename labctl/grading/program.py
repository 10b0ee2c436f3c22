"""A program that a check has started in a node: fed, read, frozen, ended, and judged by its end."""

import os
import signal
from typing import NamedTuple

from labctl.errors import machine_error
from labctl.grading.endpoints import WITHIN_S
from labctl.grading.streams import Collector, Stream
from labctl.grading.unmet import Unmet, shown, told_apart
from labctl.kernel import processes
from labctl.kernel.control import Control, ProgramStatus
from labctl.programs.sandbox import exit_status_of
from labctl.programs.watchdog import Watch
from labctl.wait import until

READY = "READY"
_READY_HINT = (
    "a server prints READY, and nothing else in that line, when requests can come, and flushes it: "
    'print("READY", flush=True), in C fflush(stdout)'
)
_SHOWN_BYTES = 2000
_REST_WITHIN_S = WITHIN_S / 2
"""How long what a program wrote last may be on its way, once it has ended."""
_LOOKS = 20
_IDLE_WITHIN_CPU_S = 1.0
"""What works and rests by turns is not found asleep so often. It has to get a CPU to work."""


class Ended(NamedTuple):
    """How a program ended, and all that it wrote."""

    exit_status: int
    """As ``subprocess`` has it: negative is the number of the signal that ended it."""
    stdout: bytes
    stderr: bytes


class Program:
    """A program in a node. Its standard input, output and error are pipes of the check's."""

    def __init__(
        self,
        title: str,
        node: str,
        control: Control,
        collector: Collector,
        status: ProgramStatus,
        pipes: "Pipes",
        *,
        holder_pid: int,
        is_sandboxed: bool,
        is_submitted: bool,
        watch: Watch | None,
    ) -> None:
        self.title = title
        """The name under which the learner knows it, with its arguments."""
        self.node = node
        self.is_submitted = is_submitted
        """Whether it is the learner's, and no command of the check's own."""
        self._control = control
        self._collector = collector
        self._status = status
        self._stdin = pipes.stdin
        self._out = pipes.stdout
        self._err = pipes.stderr
        self._holder_pid = holder_pid
        self._is_sandboxed = is_sandboxed
        self._watch = watch
        self._ended: ProgramStatus | None = None
        self._was_frozen = False

    # What it says.

    @property
    def stdout(self) -> bytes:
        """Return what it wrote to standard output so far; the beginning, if that is too much."""
        return bytes(self._out.kept)

    @property
    def stderr(self) -> bytes:
        """Return what it wrote to standard error so far, as ``stdout``."""
        return bytes(self._err.kept)

    def line(
        self, *, expected: str = "a line on stdout", hint: str = "", within_s: float = WITHIN_S
    ) -> str:
        """Return the next line that it prints. Raises ``Unmet`` where it ends or none comes."""

        def outcome() -> bytes | bool | None:
            line = self._out.next_line()
            return self._out.has_ended or None if line is None else line

        line = self._collector.wait(outcome, within_s)
        # An empty line is false to `wait`, and is there all the same.
        if isinstance(line, bytes):
            return line.decode(errors="backslashreplace")
        if line is None:
            late = bytes(self._out.kept[self._out.read_up_to :])
            actual = f"only {shown(late)}, without a line end" if late else "nothing was printed"
            if not late and (before := bytes(self._out.kept[: self._out.read_up_to])):
                actual += f" after the line {shown(before.splitlines()[-1])}"
            raise Unmet(f"{expected} within {within_s:g} s", _and(actual, self._killed()), hint)
        raise Unmet(expected, f"the program {self.how_it_ended()}", hint)

    def expect_line(self, wanted: str, *, hint: str = "", within_s: float = WITHIN_S) -> None:
        """Compare the next line with the right one. Raises ``Unmet``."""
        said = self.line(expected=f'the line "{wanted}"', hint=hint, within_s=within_s)
        if said != wanted:
            right, wrong = told_apart(wanted.encode(), said.encode())
            raise Unmet(f"the line {right}", f"the line {wrong}", hint)

    def lines_until(self, wanted: str, *, hint: str = "", within_s: float = WITHIN_S) -> list[str]:
        """Return the lines before the wanted one. Raises ``Unmet`` where it does not come."""
        lines: list[str] = []
        while True:
            line = self.line(expected=f'the line "{wanted}"', hint=hint, within_s=within_s)
            if line == wanted:
                return lines
            lines.append(line)

    def ready(self, *, within_s: float = 2 * WITHIN_S) -> list[str]:
        """Wait for the line ``READY``; return those before it. Raises ``Unmet``."""
        return self.lines_until(READY, hint=_READY_HINT, within_s=within_s)

    # What it is told.

    def write(self, data: bytes, *, hint: str = "", within_s: float = WITHIN_S) -> None:
        """Feed its standard input. Raises ``Unmet`` where it has closed that, or reads nothing."""
        assert self._stdin is not None, "its input has been ended"
        view = memoryview(data)

        def all_written() -> bool:
            nonlocal view
            assert self._stdin is not None
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                pass
            return not view

        expected = f"the program reads {len(data)} bytes from its input"
        try:
            # What was around it in its sandbox may have the pipe a moment longer than itself.
            if self._ended is not None:
                raise BrokenPipeError
            done = until(all_written, within_s)
        except BrokenPipeError:
            raise Unmet(expected, f"the program {self.how_it_ended()}", hint) from None
        if not done:
            raise Unmet(f"{expected} within {within_s:g} s", f"{len(view)} bytes are left", hint)

    def ask(self, command: str, *, hint: str = "", within_s: float = WITHIN_S) -> str:
        """Write a line to its input and return the line that it prints next."""
        self.write(f"{command}\n".encode(), hint=hint)
        return self.line(expected=f'an answer to "{command}"', hint=hint, within_s=within_s)

    def end_input(self) -> None:
        """Close its standard input: the program reads the end of the file, as after Ctrl-D."""
        if self._stdin is not None:
            os.close(self._stdin)
        self._stdin = None

    # How it runs.

    def pids(self) -> list[int]:
        """Return the host's process ids of the program and of all that it started."""
        return processes.program_pids(
            self._holder_pid, self._status.pid, is_sandboxed=self._is_sandboxed
        )

    def threads(self) -> int:
        """Return how many threads all its processes have together."""
        return sum(map(processes.threads, self.pids()))

    def resident_bytes(self) -> int:
        """Return the memory that its processes have for themselves."""
        return sum(map(processes.resident_bytes, self.pids()))

    def cpu_seconds(self) -> float:
        """Return how long its processes have run on a CPU: on a busy machine no longer than else."""
        return sum(map(processes.cpu_seconds, self.pids()))

    def is_asleep(self) -> bool:
        """Whether it runs, and each of its threads waits for something, however often one looks.

        One that has been woken does not wait, even where no CPU has run it yet.
        """
        return all(self._waits() for _ in range(_LOOKS))

    def _waits(self) -> bool:
        pids = self.pids()
        return bool(pids) and all(map(processes.is_asleep, pids))

    def freeze(self) -> None:
        """Stop it with SIGSTOP; on return no instruction of it runs. ``thaw`` lets it go on.

        A program that waits is stopped in its waiting. Some calls fail with EINTR when it goes on,
        also where it handles no signal (signal(7)): those of an idle program do so each time.
        Raises ``LabError`` where it cannot be stopped, and ``Unmet`` where it has ended.
        """
        if not self.is_running():
            raise Unmet("the program runs", f"it {self.how_it_ended()}")
        self._was_frozen = True
        most_s = self.cpu_seconds() + _IDLE_WITHIN_CPU_S
        until(lambda: self._waits() or self.cpu_seconds() > most_s, WITHIN_S)
        processes.stop_all(self.pids)

    def thaw(self) -> None:
        """Let a frozen program go on."""
        processes.continue_all(self.pids)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, the first process of it."""
        pids = self.pids()
        if not pids:
            raise Unmet("the program runs", f"it {self.how_it_ended()}")
        os.kill(pids[0], number)

    def kill(self) -> None:
        """End it with SIGKILL, and wait for that: its ports are free then."""
        if self._poll(0) is None:
            pids = self.pids()
            self._control.signal(self._status.name, signal.SIGKILL)
            if self._poll(WITHIN_S) is None:
                raise machine_error(f"{self.title} does not end after SIGKILL")
            # What is in a sandbox ends a moment after the sandbox.
            until(lambda: not any(map(_goes_on, pids)), WITHIN_S)

    def is_running(self) -> bool:
        return self._poll(0) is None

    # How it ends.

    def end(
        self, *, expected: str = "the program ends", hint: str = "", within_s: float = WITHIN_S
    ) -> Ended:
        """Wait until it has ended. Raises ``Unmet`` where it goes on."""
        if self._poll(within_s) is None:
            raise Unmet(f"{expected} within {within_s:g} s", "it is still running", hint)
        # What it wrote last may still be in the pipes; a child of it may hold them open for ever.
        self._collector.wait(lambda: self._out.has_ended and self._err.has_ended, _REST_WITHIN_S)
        return Ended(self._exit_status(), self.stdout, self.stderr)

    def expect_exit(self, exit_status: int, *, hint: str = "", within_s: float = WITHIN_S) -> Ended:
        """Wait until it has ended like that. Raises ``Unmet`` where it did not."""
        expected = f"the program {describe_exit(exit_status)}"
        ended = self.end(expected=expected, hint=hint, within_s=within_s)
        if ended.exit_status != exit_status:
            raise Unmet(expected, f"it {self.how_it_ended()}", hint)
        return ended

    def how_it_ended(self) -> str:
        """Return words such as ``ended with exit status 1, and said: error: bind: …``."""
        if self._poll(_REST_WITHIN_S) is None:
            return "has closed its output and still runs"
        self._collector.wait(lambda: self._err.has_ended, _REST_WITHIN_S)
        reason = self._killed() or describe_exit(self._exit_status(), past=True)
        last = self.stderr.strip().splitlines()[-1:]
        said = f", and said: {shown(last[0])[1:-1]}" if last else ""
        return f"{reason}{said}"

    def transcript(self) -> str:
        """Return what it printed and how it ended, for whoever looks for the mistake."""
        if self.is_running():
            end = _and("still running", self._killed())
        else:
            end = self.how_it_ended().partition(", and said: ")[0]
        parts = [f"{self.title} in {self.node}: {end}"]
        if self._was_frozen:
            parts.append(
                "  the check stopped it (SIGSTOP) and let it go on: "
                "a call that fails with EINTR has to be made again"
            )
        for name, stream in (("stdout", self._out), ("stderr", self._err)):
            text = bytes(stream.kept[-_SHOWN_BYTES:]).decode(errors="backslashreplace")
            cut = "… " if stream.total > _SHOWN_BYTES else ""
            lines = f"{cut}{text}".splitlines()
            parts += [f"  {name}: {line}" for line in lines]
        return "\n".join(parts)

    def close(self) -> None:
        """Forget its input; the collector has the rest."""
        self.end_input()

    def _poll(self, within_s: float) -> ProgramStatus | None:
        if self._ended is None:
            self._ended = self._control.wait(self._status.name, max(within_s, 0.001))
        return self._ended

    def _exit_status(self) -> int:
        assert self._ended is not None
        assert self._ended.exit_status is not None
        status = self._ended.exit_status
        return exit_status_of(status) if self._is_sandboxed else status

    def _killed(self) -> str:
        reason = self._watch.reason if self._watch else ""
        return f"was ended because it {reason}" if reason else ""


def _goes_on(pid: int) -> bool:
    """Whether a process has files open: one that has ended has not, buried or not."""
    return processes.state(pid) not in ("", "Z", "X")


class Pipes(NamedTuple):
    """The check's ends of a program's standard files."""

    stdin: int | None
    stdout: Stream
    stderr: Stream


def _and(first: str, second: str) -> str:
    return f"{first}, and {second}" if second else first


def describe_exit(exit_status: int, *, past: bool = False) -> str:
    """Return ``exits with status 1``, or which signal ended it."""
    if exit_status < 0:
        try:
            name = signal.Signals(-exit_status).name
        except ValueError:
            name = f"signal {-exit_status}"
        return f"was ended by {name}" if past else f"is ended by {name}"
    return f"ended with exit status {exit_status}" if past else f"exits with status {exit_status}"
