"""Runs one command in a sandbox of a lab and tells what came of it; by the owner of the lab."""

import json
import os
import sys
import threading

from labctl.kernel import processes
from labctl.kernel.control import Control, ProgramStatus
from labctl.kernel.state import LabState
from labctl.programs.sandbox import Limits, Sandbox, exit_status_of, sandboxed
from labctl.programs.watchdog import Watchdog
from labctl.wait import until

KEPT_BYTES = 1 << 16


class Reader(threading.Thread):
    """Reads a pipe to its end; keeps the beginning, counts all."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.read_fd, self.write_fd = os.pipe()
        self.kept = b""
        self.total = 0

    def run(self) -> None:
        while data := os.read(self.read_fd, 65536):
            self.kept += data[: KEPT_BYTES - len(self.kept)]
            self.total += len(data)


def main() -> None:
    # A line, not all: whoever asked keeps it open.
    request = json.loads(sys.stdin.readline())
    limits = Limits(*request["limits"])
    state = LabState(request["lab"])
    control = Control(state)
    netns = state.netns("client1")
    holder = state.holder()
    assert netns is not None
    assert holder is not None
    sandbox = Sandbox(
        submission=request["submission"],
        is_rootless=request["is_rootless"],
        uid=request["uid"],
        maps_uid=processes.maps_uid(holder.pid, request["uid"]),
        limits=limits,
        grants_raw=request["grants_raw"],
        is_writable=request["is_writable"],
        environment=request["environment"],
    )
    argv, recipe = sandboxed(request["command"], sandbox)
    out, err = Reader(), Reader()
    stdin_read, stdin_write = os.pipe()
    name = f"p{os.getpid()}"
    program = control.start(
        name,
        "client1",
        netns,
        argv,
        environment={},
        cwd="/",
        stdin_fd=stdin_read,
        stdout_fd=out.write_fd,
        stderr_fd=err.write_fd,
        recipe=recipe,
    )
    for fd in (stdin_read, out.write_fd, err.write_fd):
        os.close(fd)
    out.start()
    err.start()
    watchdog = Watchdog()
    watch = watchdog.watch(
        holder_pid=holder.pid,
        pid_in_lab=program.pid,
        is_sandboxed=True,
        most_resident=limits.memory_bytes,
        most_output=limits.output_bytes,
        most_wall_s=request["wall_s"],
        most_processes=limits.processes,
        output=lambda: out.total + err.total,
    )
    os.close(stdin_write)
    most = 0

    def has_ended() -> ProgramStatus | None:
        nonlocal most
        pids = processes.program_pids(holder.pid, program.pid, is_sandboxed=True)
        most = max(most, len(pids))
        if 0 < request["until_processes"] <= len(pids):
            # Who is not asked looks when its thread has its turn.
            watch.look()
            processes.kill_program(holder.pid, program.pid)
        return control.wait(name, 0.02)

    ended = until(has_ended, 60)
    assert ended is not None, "the program does not end"
    assert ended.exit_status is not None
    for reader in (out, err):
        reader.join(10)
    watchdog.close()
    result = {
        "exit_status": exit_status_of(ended.exit_status),
        "stdout": out.kept.decode(errors="replace"),
        "stderr": err.kept.decode(errors="replace"),
        "written": out.total + err.total,
        "reason": watch.reason,
        "most_processes": most,
    }
    sys.stdout.write(json.dumps(result))


main()
