"""What a run of the tests may not leave on the machine: namespaces, mounts, labs, processes."""

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Snapshot(NamedTuple):
    """All that labctl could have made on this machine, whoever made it."""

    namespaces: frozenset[str]
    mounts: frozenset[str]
    state: frozenset[str]


def snapshot() -> Snapshot:
    """Return what is there now."""
    return Snapshot(
        frozenset(map(str, Path("/run/netns").glob("*"))),
        frozenset(_mounts()),
        frozenset(map(str, _state_folders())),
    )


def since(before: Snapshot) -> list[str]:
    """Return a line for each thing that is there now and was not before."""
    now = snapshot()
    return [
        *(f"namespace {path}" for path in sorted(now.namespaces - before.namespaces)),
        *(f"mount on {path}" for path in sorted(now.mounts - before.mounts)),
        *(f"folder {path}" for path in sorted(now.state - before.state)),
    ]


def processes(marker: str, within_s: float) -> list[str]:
    """Return a line for each process with ``NAME=VALUE`` in its environment.

    Those that are about to end are waited for, in all at most ``within_s``. The calling process
    does not count.
    """
    deadline_s = time.monotonic() + within_s
    found = []
    for pid in _pids_with(marker):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            left_ms = max(0.0, deadline_s - time.monotonic()) * 1000
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(left_ms):
                found.append(f"process {pid}: {_command_line(pid)}")
        finally:
            os.close(pidfd)
    return found


def _pids_with(marker: str) -> Iterator[int]:
    wanted = marker.encode()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue  # gone meanwhile, or another user's
            if wanted in environment.split(b"\0"):
                yield int(folder.name)


def _command_line(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "gone meanwhile"
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def _mounts() -> Iterator[str]:
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    for line in text.splitlines():
        point = line.split(" ")[4]
        # /run/netns itself is made a mount by the first namespace with a name, be it labctl's or
        # that of `ip netns add`, and stays so by design (labctl/kernel/netns_directory.py).
        if point.startswith("/run/netns/") or "labctl" in point:
            yield point


def _state_folders() -> Iterator[Path]:
    user = Path("/run/user", str(os.geteuid()))
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or user)
    for base in {Path("/run/labctl"), user / "labctl", runtime / "labctl"}:
        yield from base.glob("*")
    # An empty folder /tmp/labctl-UID is where the next lab would go; it may stay.
    yield from Path("/tmp").glob("labctl-*/*")
    yield from Path("/tmp").glob("labctl-tests-*")
    # ip-netns(8) puts these over the files of /etc, for whoever enters the namespace by name.
    yield from Path("/etc/netns").glob("*")
