"""Brings a command into a node: ``labctl exec``, ``labctl shell`` and ``labctl run``.

labctl ── fork ── (joins) ── fork ── (first inside) ── fork ── keeper ── fork ── the command

The keeper is an orphan of a process of the lab's pid namespace, so the holder adopts it. A child
of a process outside would keep the holder from ending until that process, or the host's init,
reaps it; and a labctl that is stopped (Ctrl-Z) reaps nothing. Keeper and labctl talk through two
pipes. On
``orders`` labctl passes signals on; its end means that labctl died, and the command dies too. On
``report`` comes what became of the command; its end means that the lab went down.
"""

from __future__ import annotations

import os

from labctl.errors import LabError, machine_error
from labctl.kernel.joining import HOSTS_DIRECTORY, enter_node, path_inside
from labctl.kernel.namespaces import CLONE_NEWPID, ROOTLESS, die_with_parent, setns
from labctl.kernel.setgroups import pretend_setgroups
from labctl.kernel.state import Holder, LabState, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from typing import NoReturn
else:
    # `signal` would import `enum`, which takes a tenth of the time that `exec` has.
    import _signal as signal

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals sent to labctl alone. Those of the terminal reach the command by themselves."""

_IGNORED = (signal.SIGINT, signal.SIGQUIT)
"""Meant for the command, which may survive them; labctl ends when the command does."""


class CommandNotRun(LabError):
    """The command could not be executed; exit code as a shell has it: 126 or 127."""


def run_in_node(
    state: LabState,
    holder: Holder,
    pidfd: int,
    netns: str | None,
    argv: Sequence[str],
    environment: dict[str, str],
    *,
    leads_terminal: bool = False,
) -> int:
    """Run a command in a node, in this terminal; return its exit code.

    Standard input and output are the command's from then on; this process has /dev/null there.
    A command that a signal ended gives 128 plus the signal's number. Without ``netns`` the
    command runs in the lab but outside its nodes, where ``ip netns exec`` reaches each of them
    (in root mode that is the host itself). With ``leads_terminal`` it is a process group of its
    own in the foreground, as a shell with job control needs: the group of this process has no
    number in the lab's pid namespace. Raises ``LabError`` where the lab goes down first, and
    ``CommandNotRun`` where there is no such command.
    """
    terminal = _foreground_terminal() if leads_terminal else None
    registration = state.file(f"joiners/{os.getpid()}.{start_time('self')}")
    try:
        os.close(os.open(registration, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        raise _went_down(state) from None
    except OSError:
        pass  # the disk is full: a `down` will not wake this one if it is stopped then
    orders_read, orders_write = os.pipe2(os.O_CLOEXEC)
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    # Before the fork: no signal may hit a labctl that would leave the command alone.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _IGNORED}
    # The interpreter itself writes the number of a signal there. A handler in Python would have to
    # wait for the end of a system call that begins in the moment after the signal.
    os.set_blocking(orders_write, False)
    woken_before = signal.set_wakeup_fd(orders_write, warn_on_full_buffer=False)
    for number in _PASSED_ON:
        before[number] = signal.signal(number, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        os.close(orders_write)
        os.close(report_read)
        joiner = _Joiner(state, holder, pidfd, netns, argv, environment, orders_read, report_write)
        joiner.leads_terminal = terminal is not None
        joiner.run(before)
    os.close(report_write)
    # The command has them now: a reader of its output must not wait for this process as well.
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    try:
        os.waitpid(child, 0)
        report = b""
        while data := os.read(report_read, 4096):
            report += data
    finally:
        if terminal is not None:
            _take_terminal(terminal)
            os.close(terminal)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(orders_write)
        os.close(orders_read)  # not before: to write where nobody reads would be an error
        os.close(report_read)
        try:
            os.unlink(registration)
        except FileNotFoundError:
            pass  # the whole lab has gone
    return _read_report(state, argv, report.decode())


def _foreground_terminal() -> int | None:
    """Return a copy of standard input where it is a terminal with this process in front."""
    try:
        if os.tcgetpgrp(0) == os.getpgrp():
            return os.dup(0)
    except OSError:
        pass  # no terminal, or that of another session
    return None


def _take_terminal(fd: int) -> None:
    """Put the own process group into the foreground; a terminal that has hung up stays as it is."""
    # Whoever does that from the background is stopped, unless it ignores the signal.
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(fd, os.getpgrp())
    except OSError:
        pass
    finally:
        signal.signal(signal.SIGTTOU, before)


def _read_report(state: LabState, argv: Sequence[str], report: str) -> int:
    # A command that cannot be executed says so itself; its keeper then adds how it ended.
    kind, _, rest = report.partition("\n")[0].partition(" ")
    if kind == "ended":
        return int(rest)
    if kind == "exec":
        number = int(rest)
        # execvp(3) says EACCES (13), too, where a folder on PATH may not be searched.
        if number in (2, 20) or (number == 13 and not _is_seen(argv[0])):  # ENOENT, ENOTDIR
            raise CommandNotRun(
                f'there is no command "{argv[0]}"',
                hint="is it installed, and on your PATH?",
                exit_code=127,
            )
        raise CommandNotRun(
            f'cannot execute "{argv[0]}": {os.strerror(number)}',
            hint=f"chmod +x {argv[0]}" if number == 13 else "",
            exit_code=126,
        )
    if kind == "join":
        raise machine_error(f"cannot join the lab: {rest}", hint="run `labctl doctor`")
    raise _went_down(state)


def _is_seen(command: str) -> bool:
    """Whether the command is a path, or a file of that name, executable or not, is on PATH."""
    return "/" in command or any(
        os.path.lexists(os.path.join(place, command)) for place in os.get_exec_path()
    )


def _went_down(state: LabState) -> LabError:
    return machine_error(
        f'the lab "{state.name}" went down', hint=f"labctl up {state.name} builds it again"
    )


class _Joiner:
    """The processes between labctl and the command."""

    def __init__(
        self,
        state: LabState,
        holder: Holder,
        pidfd: int,
        netns: str | None,
        argv: Sequence[str],
        environment: dict[str, str],
        orders_fd: int,
        report_fd: int,
    ) -> None:
        self._pidfd = pidfd
        self._netns = netns
        self._argv = list(argv)
        self._environment = environment
        self._orders_fd = orders_fd
        self._report_fd = report_fd
        try:
            self._cwd = os.getcwd()
        except FileNotFoundError:
            self._cwd = "/"  # removed under the user's feet
        self.leads_terminal = False
        self._rootless = holder.mode == "rootless"
        if self._rootless:
            environment["PATH"] = path_inside(environment.get("PATH"))
            self._hosts_directory = HOSTS_DIRECTORY
        else:
            self._hosts_directory = state.file("etc")

    def run(self, handlers: Mapping[signal.Signals, object]) -> NoReturn:
        """Join the lab, fork the keeper into it, and leave the two alone."""
        # Ctrl-Z must not stop this process while it has a child inside. What is passed on is for
        # the command alone, which gets it when it is ready to be executed.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP, *_PASSED_ON})
        try:
            # One call: the kernel enters the user namespace first, which allows the others.
            setns(self._pidfd, ROOTLESS if self._rootless else CLONE_NEWPID)
            if self._rootless:
                pretend_setgroups()
            inside = os.fork()
            if inside == 0:
                if os.fork() == 0:
                    signal.pthread_sigmask(signal.SIG_SETMASK, {*mask, *_PASSED_ON})
                    self._keep(handlers, mask)
                os._exit(0)
            os.waitpid(inside, 0)
        except OSError as error:
            # ESRCH, ENOMEM: the holder is dying, and nobody can join it any more.
            if error.errno not in (3, 12):
                self._report(f"join {error.strerror}")
        finally:
            os._exit(0)

    def _keep(
        self, handlers: Mapping[signal.Signals, object], mask: set[signal.Signals | int]
    ) -> None:
        command = os.fork()
        if command == 0:
            self._become_command(handlers, mask)
        # Or a reader of the command's output would wait for this process too.
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        import select

        ended = os.pidfd_open(command)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self._orders_fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if ended in ready:
                break
            orders = os.read(self._orders_fd, 64)
            for number in orders or [signal.SIGKILL]:
                os.kill(command, number)
            if not orders:
                poll.unregister(self._orders_fd)
        _, status = os.waitpid(command, 0)
        code = os.waitstatus_to_exitcode(status)
        self._report(f"ended {code if code >= 0 else 128 - code}")
        os._exit(0)

    def _become_command(
        self, handlers: Mapping[signal.Signals, object], mask: set[signal.Signals | int]
    ) -> NoReturn:
        try:
            die_with_parent(signal.SIGKILL)
            if self._netns is not None:
                enter_node(self._netns, self._hosts_directory, mount_proc=not self._rootless)
            try:
                os.chdir(self._cwd)
            except OSError:
                os.chdir("/")
        except OSError as error:
            self._report(f"join {error.strerror}")
            os._exit(125)
        if self.leads_terminal:
            os.setpgid(0, 0)
            _take_terminal(0)
        for number in _PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        for number, handler in handlers.items():
            was_ignored = handler == signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN if was_ignored else signal.SIG_DFL)
        # The interpreter ignores these two.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            os.execvpe(self._argv[0], self._argv, self._environment)
        except OSError as error:
            self._report(f"exec {error.errno}")
            os._exit(127)

    def _report(self, text: str) -> None:
        os.write(self._report_fd, f"{text}\n".encode())
