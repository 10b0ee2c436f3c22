"""Starts a lab's holder and has it build the network; nothing remains if this process dies.

launcher ── fork ── (unshare) ── fork ── holder, pid 1 of the lab's pid namespace

Two pipes connect launcher and holder. On ``report`` the holder says how far it is, what failed,
or that it is ready. On ``commit`` the launcher, once everything is in order, writes a single
byte; a pipe that ends without it makes the holder undo what it did and go.
"""

import os
import signal
import time
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from labctl.errors import LabError, machine_error
from labctl.kernel import rootless
from labctl.kernel.apply import Builder, NameTaken, StepFailed
from labctl.kernel.control_path import socket_path
from labctl.kernel.ending import end_holder
from labctl.kernel.interrupts import uninterrupted
from labctl.kernel.namespaces import CLONE_NEWPID, ROOTLESS, set_process_name, unshare
from labctl.kernel.netns_directory import link_etc_netns, prepare_netns_directory
from labctl.kernel.state import (
    Holder,
    LabState,
    all_labs,
    boot_id,
    start_time,
)
from labctl.kernel.wire import Follower, Wire
from labctl.plan.steps import (
    CreateHiddenNamespace,
    CreateLink,
    CreateNamespace,
    KernelStep,
    PassFrames,
)

_FIELD = "\x1f"
"""Separates the fields of a report; no text of the kernel's or of a lab file has it."""


class Launched(NamedTuple):
    """A lab that is built and not yet committed."""

    commit_fd: int
    build_ms: float


def launch(
    state: LabState,
    lock_fd: int,
    steps: Sequence[KernelStep],
    source: str,
    *,
    is_rootless: bool,
    progress: Callable[[int], None],
) -> Launched:
    """Fork the holder and have it carry the steps out.

    The caller holds the lab's lock; the holder inherits it. Raises ``LabError`` where the machine
    refuses; the holder has undone everything by then, and the caller removes the folder.
    """
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    commit_read, commit_write = os.pipe2(os.O_CLOEXEC)
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)
    with socket_path(state, "control") as path:
        listener.bind(path)
    listener.listen(64)
    os.mkdir(state.file("logs"), 0o700)
    os.mkdir(state.file("etc"), 0o755)
    os.mkdir(state.file("joiners"), 0o700)
    child = 0
    try:
        # An interrupt that comes now is heard when it is known whom it ends.
        with uninterrupted() as mask:
            child = os.fork()
            if child == 0:
                os.close(report_read)
                os.close(commit_write)
                _Launch(
                    state, lock_fd, steps, source, is_rootless, report_write, commit_read, listener
                ).run(mask)
            os.close(report_write)
            os.close(commit_read)
            listener.close()
        build_ms = _follow(state, report_read, progress)
        os.waitpid(child, 0)
    except BaseException:
        os.close(commit_write)
        if child:
            os.waitpid(child, 0)
            _end_unfinished(state, report_read)
        raise
    finally:
        os.close(report_read)
    return Launched(commit_write, build_ms)


def _end_unfinished(state: LabState, report_fd: int) -> None:
    opened = state.open_holder()
    if opened is not None:
        _, pidfd = opened
        end_holder(pidfd)
        os.close(pidfd)
    # Only the holder has the other end by now: its end of file is the holder's end.
    while os.read(report_fd, 65536):
        pass


def commit(launched: Launched) -> None:
    """Let the lab live on without this process. Raises ``LabError`` where it has ended."""
    try:
        os.write(launched.commit_fd, b"C")
    except BrokenPipeError:
        raise _ended_meanwhile() from None
    os.close(launched.commit_fd)


def _ended_meanwhile() -> LabError:
    return machine_error(
        "the lab's holder ended while it built the lab",
        hint="was it killed, or `labctl down` called meanwhile? try again",
    )


def _follow(state: LabState, report_fd: int, progress: Callable[[int], None]) -> float:
    """Read the holder's reports until it is ready; return how long the building took, in ms."""
    buffer = b""
    while True:
        data = os.read(report_fd, 65536)
        if not data:
            raise _ended_meanwhile()
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            kind, *fields = line.decode().split(_FIELD)
            if kind == "ready":
                return float(fields[0])
            if kind == "failed":
                problem, hint, code = fields
                raise LabError(problem, hint=hint, exit_code=int(code))
            if kind == "taken":
                raise _name_taken(fields[0], by_other_than=state.name)
            progress(int(fields[0]))


class _Launch:
    """The side of the child and of the grandchild that becomes the holder."""

    def __init__(
        self,
        state: LabState,
        lock_fd: int,
        steps: Sequence[KernelStep],
        source: str,
        is_rootless: bool,
        report_fd: int,
        commit_fd: int,
        listener: socket,
    ) -> None:
        self._state = state
        self._lock_fd = lock_fd
        self._steps = steps
        self._source = source
        self._rootless = is_rootless
        self._report_fd = report_fd
        self._commit_fd = commit_fd
        self._listener = listener
        self._wire: Wire | None = None

    def run(self, mask: "set[signal.Signals | int]") -> NoReturn:
        """Never returns into the code of the launcher. ``mask`` has what is blocked from then on."""
        try:
            os.setsid()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._close_inherited()
            if self._rootless:
                rootless.unshare_all(ROOTLESS)
            else:
                unshare(CLONE_NEWPID)
            if os.fork() != 0:
                os._exit(0)
            self._hold()
        except BaseException as error:
            self._report_failure(error)
        finally:
            os._exit(1)

    def _close_inherited(self) -> None:
        # A lock, or a pipe's end, that labctl was started with would stay open with the lab.
        first = 3
        own = (self._lock_fd, self._report_fd, self._commit_fd, self._listener.fileno())
        for fd in sorted(own):
            os.closerange(first, fd)
            first = fd + 1
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))

    def _hold(self) -> None:
        set_process_name("labctl-holder")
        # Before /proc is mounted anew: it still numbers processes as the host does.
        pid = int(os.readlink("/proc/self"))
        holder = Holder(
            pid=pid,
            start=start_time(pid),
            boot=boot_id(),
            mode="rootless" if self._rootless else "root",
            since=round(time.time(), 3),
            source=self._source,
        )
        self._state.write("holder", holder.as_text())
        logs_fd = os.open(self._state.file("logs"), os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
        claims_fd = os.open(
            self._state.file("claims"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if self._rootless:
            hosts_directory = rootless.prepare_mounts(self._state.name)
        else:
            hosts_directory = self._state.file("etc")
            prepare_netns_directory()
        try:
            build_ms = self._build(hosts_directory, claims_fd)
        except BaseException as error:
            if not self._rootless:
                self._state.remove_names()
            self._report_failure(error)
            return
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.chdir("/")
        self._report("ready", f"{build_ms:.3f}")
        os.close(self._report_fd)
        self._serve(hosts_directory, logs_fd)
        if not self._rootless:
            self._state.remove_names()

    def _serve(self, hosts_directory: str, logs_fd: int) -> None:
        # Imported only now, while the launcher is finishing: it costs 10 ms.
        import socket as sockets

        from labctl.kernel.holder import Holder

        listener = sockets.socket(fileno=self._listener.detach())
        holder = Holder(
            listener, logs_fd, hosts_directory, mount_proc=not self._rootless, wire=self._wire
        )
        holder.run(self._commit_fd)

    def _build(self, hosts_directory: str, claims_fd: int) -> float:
        started = time.perf_counter()
        builder = Builder(
            hosts_directory,
            claim=lambda netns, inode: self._claim(claims_fd, netns, inode),
            progress=lambda done: self._report("progress", str(done)),
        )
        builder.apply(self._steps)
        self._wire = _wire_of(self._steps, builder)
        if not self._rootless:
            for step in self._steps:
                if isinstance(step, CreateNamespace):
                    link_etc_netns(self._state, step.netns)
        build_ms = (time.perf_counter() - started) * 1000
        builder.close()
        os.close(claims_fd)
        return build_ms

    def _claim(self, claims_fd: int, netns: str, inode: int) -> None:
        # The names of a rootless lab are in a /run of its own, and go with it.
        if not self._rootless:
            self._state.claim(claims_fd, netns, inode)

    def _report(self, *fields: str) -> None:
        try:
            os.write(self._report_fd, (_FIELD.join(fields) + "\n").encode())
        except BrokenPipeError:
            pass  # the launcher is gone; the commit pipe will say so

    def _report_failure(self, error: BaseException) -> None:
        match error:
            case StepFailed():
                described = error.as_lab_error()
            case NameTaken(netns=netns):
                # Whose it is the launcher finds out: no other lab's holder is visible from here.
                self._report("taken", netns)
                return
            case LabError():
                described = error
            case OSError():
                described = machine_error(
                    str(error.strerror or error), hint="run `labctl doctor` to see what is missing"
                )
            case _:
                described = machine_error(
                    f"an internal error: {type(error).__name__}: {error}",
                    hint="this is a fault of labctl's; please report it",
                )
        fields = (described.problem, described.hint, str(described.exit_code))
        self._report("failed", *(field.replace("\n", " ") for field in fields))


def _wire_of(steps: Sequence[KernelStep], builder: Builder) -> Wire | None:
    """Return what the holder needs of the hidden namespace, where there is one."""
    hidden = next((step.netns for step in steps if isinstance(step, CreateHiddenNamespace)), None)
    if hidden is None:
        return None
    nodes_ends = {
        step.near.interface: step.peer
        for step in steps
        if isinstance(step, CreateLink) and step.near.netns == hidden
    }
    followers = [
        Follower(end.netns, end.interface, step.to)
        for step in steps
        if isinstance(step, PassFrames)
        for end in (nodes_ends[step.interface],)
    ]
    return Wire(builder.keep(hidden), followers)


def _name_taken(netns: str, *, by_other_than: str) -> LabError:
    for other in all_labs():
        if other.name != by_other_than and netns in other.nodes().values() and other.is_up():
            return LabError(
                f'the namespace name "{netns}" is taken by the lab "{other.name}"',
                hint=f"take it down (labctl down {other.name}), or give this one another name "
                "with --name, or use --rootless",
            )
    return LabError(
        f'the namespace name "{netns}" is taken, and not by a lab of labctl\'s',
        hint=f"if nobody needs it: ip netns del {netns}; or use --name, or --rootless",
    )
