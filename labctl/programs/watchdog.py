"""Ends programs that use too much, and remembers why.

What is looked at here no limit of the kernel's covers: the memory of all processes of a program
together, how much it writes, how long it runs.
"""

import threading
import time
from collections.abc import Callable

from labctl.errors import LabError
from labctl.kernel import processes

_EVERY_S = 0.05
_MIB = 1 << 20


class Watch:
    """One program, and what it may use; 0 is no limit."""

    def __init__(
        self,
        *,
        holder_pid: int,
        pid_in_lab: int,
        is_sandboxed: bool,
        most_resident: int,
        most_output: int,
        most_wall_s: float,
        most_processes: int,
        output: Callable[[], int],
    ) -> None:
        self.reason = ""
        """Why it was ended, such as ``used more than 512 MiB of memory``; empty if it was not."""
        self.most_seen_resident = 0
        self._holder_pid = holder_pid
        self._pid_in_lab = pid_in_lab
        self._is_sandboxed = is_sandboxed
        self._most_resident = most_resident
        self._most_output = most_output
        self._most_wall_s = most_wall_s
        self._most_processes = most_processes
        self._output = output
        self._started_s = time.monotonic()

    def look(self) -> bool:
        """End the program if it uses too much; return whether there is still something to watch."""
        if processes.host_pid(self._holder_pid, self._pid_in_lab) is None:
            # It may have written all this and ended before anybody looked.
            self.reason = self.reason or self._too_much_output()
            return False
        self.reason = self.reason or self._what_is_too_much()
        if not self.reason:
            return True
        try:
            processes.kill_program(self._holder_pid, self._pid_in_lab)
        except LabError:
            return True  # the next look tries again
        return False

    def _what_is_too_much(self) -> str:
        return self._too_much_output() or self._too_long() or self._too_much_of_the_machine()

    def _too_much_output(self) -> str:
        if self._most_output and self._output() > self._most_output:
            return f"wrote more than {_size(self._most_output)}"
        return ""

    def _too_long(self) -> str:
        if self._most_wall_s and time.monotonic() - self._started_s > self._most_wall_s:
            return f"ran for more than {self._most_wall_s:g} s"
        return ""

    def _too_much_of_the_machine(self) -> str:
        pids = processes.program_pids(
            self._holder_pid,
            self._pid_in_lab,
            is_sandboxed=self._is_sandboxed,
            at_most=self._most_processes and self._most_processes + 1,
        )
        if self._most_processes and len(pids) > self._most_processes:
            return f"started more than {self._most_processes} processes"
        resident = sum(map(processes.resident_bytes, pids))
        if self._most_resident and resident > self._most_resident:
            # What children have in common with their parent was counted for each of them.
            resident = sum(map(processes.fair_bytes, pids))
        self.most_seen_resident = max(self.most_seen_resident, resident)
        if self._most_resident and resident > self._most_resident:
            return f"used more than {_size(self._most_resident)} of memory"
        return ""


class Watchdog:
    """Watches any number of programs in one thread."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def watch(
        self,
        *,
        holder_pid: int,
        pid_in_lab: int,
        is_sandboxed: bool,
        most_resident: int = 0,
        most_output: int = 0,
        most_wall_s: float = 0.0,
        most_processes: int = 0,
        output: Callable[[], int] = lambda: 0,
    ) -> Watch:
        """Watch a program from now on until it has ended.

        ``output`` returns how many bytes it has written so far, and is called in the watchdog's
        thread.
        """
        watch = Watch(
            holder_pid=holder_pid,
            pid_in_lab=pid_in_lab,
            is_sandboxed=is_sandboxed,
            most_resident=most_resident,
            most_output=most_output,
            most_wall_s=most_wall_s,
            most_processes=most_processes,
            output=output,
        )
        with self._lock:
            self._watches.append(watch)
        return watch

    def close(self) -> None:
        """Watch no longer; the programs run on."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(_EVERY_S):
            with self._lock:
                now = list(self._watches)
            over = {watch for watch in now if not watch.look()}
            with self._lock:
                self._watches = [watch for watch in self._watches if watch not in over]


def _size(size_bytes: int) -> str:
    if size_bytes % _MIB == 0:
        return f"{size_bytes // _MIB} MiB"
    return f"{size_bytes} bytes"
