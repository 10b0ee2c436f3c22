"""The process that owns a lab: pid 1 of the lab's pid namespace.

When it ends, the kernel ends every program of the lab. It starts programs when asked, reaps
them, keeps their last output, and hands out sockets that live inside nodes. It does nothing else.

Requests and answers are ``labctl.kernel.messages``, one request a connection;
``labctl.kernel.control`` is the other end.
"""

import errno
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from labctl.kernel import messages
from labctl.kernel.carrier import CarrierMirror
from labctl.kernel.output import LogWriter
from labctl.kernel.places import Places
from labctl.kernel.spawning import Spawner
from labctl.kernel.wire import HIDDEN, Wire

_READ_BYTES = 65536


class _Program:
    """A program that was started here, running or ended."""

    def __init__(self, name: str, node: str, argv: list[str], pid: int, log: LogWriter) -> None:
        self.name = name
        self.node = node
        self.argv = argv
        self.pid = pid
        self.log = log
        self.output_fd: int | None = None
        self.started = time.time()
        self.ended: float | None = None
        self.exit_status: int | None = None
        """As ``subprocess`` has it: negative is the number of the signal that ended it."""
        self.waiters: list[socket.socket] = []

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "node": self.node,
            "argv": self.argv,
            "pid": self.pid,
            "started": self.started,
            "ended": self.ended,
            "exit_status": self.exit_status,
        }


class Holder:
    """The event loop of a lab's holder.

    ``logs_fd`` is an open directory for the programs' output (its path is out of sight in a
    rootless lab), ``hosts_directory`` has a folder of /etc files for each node, ``mount_proc``
    says whether programs must be given a /proc of this pid namespace.
    """

    def __init__(
        self,
        listener: socket.socket,
        logs_fd: int,
        hosts_directory: str,
        *,
        mount_proc: bool,
        wire: Wire | None = None,
    ) -> None:
        self._listener = listener
        self._logs_fd = logs_fd
        self._wire = wire
        self._programs: dict[str, _Program] = {}
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._carriers: CarrierMirror | None = None
        self._places = Places(None if wire is None else wire.netns_fd)
        self._spare_fd: int | None = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        # Before the limit is raised: the programs keep the one they know.
        self._spawner = Spawner(self._places, hosts_directory, mount_proc=mount_proc)
        # Each running program takes two descriptors here.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def run(self, commit_fd: int) -> bool:
        """Serve for ever.

        Returns ``False`` only while the lab is not committed yet: when ``commit_fd`` ends
        without a byte, because the launcher gave up or died.
        """
        committed = False

        def on_commit() -> None:
            nonlocal committed
            committed = os.read(commit_fd, 1) == b"C"
            self._unwatch(commit_fd)
            os.close(commit_fd)
            if not committed:
                raise _GivenUp

        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Python's own handler would end the lab; the kernel keeps the others from a pid 1.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._listener.setblocking(False)
        self._watch(self._listener.fileno(), self._accept)
        self._watch(wake_read, lambda: self._wake(wake_read))
        self._watch(commit_fd, on_commit)
        if self._wire is not None:
            self._mirror_carriers(self._wire)
        try:
            while True:
                for fd, _ in self._poll.poll():
                    if fd in self._readers:
                        self._readers[fd]()
        except _GivenUp:
            return False

    def _mirror_carriers(self, wire: Wire) -> None:
        def open_in(netns: str) -> socket.socket:
            return self._places.open_socket(netns, socket.AF_NETLINK, socket.SOCK_RAW, 0)

        self._carriers = CarrierMirror(wire.followers, open_in, open_in(HIDDEN))
        for fd, follow in self._carriers.sources():
            self._watch(fd, follow)

    def _watch(self, fd: int, reader: Callable[[], None]) -> None:
        self._readers[fd] = reader
        self._poll.register(fd, select.POLLIN)

    def _unwatch(self, fd: int) -> None:
        del self._readers[fd]
        self._poll.unregister(fd)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._turn_away(error)
            return
        client.setblocking(False)
        self._watch(client.fileno(), lambda: self._answer(client))

    def _turn_away(self, error: OSError) -> None:
        # A connection that nobody accepts would wake the loop for ever.
        if self._spare_fd is not None:
            os.close(self._spare_fd)
        self._spare_fd = None
        try:
            client, _ = self._listener.accept()
            with client:
                # Closed with a request unread, the other end would see a reset and no answer. One
                # that has not asked yet cannot do so any more, and finds the answer there.
                client.setblocking(False)
                client.shutdown(socket.SHUT_RD)
                while client.recv(1):
                    pass
                _reply(client, {"error": error.strerror, "errno": error.errno})
        except OSError:
            pass  # it has gone
        try:
            self._spare_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # the whole machine is out of files

    def _answer(self, client: socket.socket) -> None:
        fds: list[int] = []
        try:
            try:
                request, fds = messages.receive(client)
            except BlockingIOError:
                return  # the event was for an older descriptor of the same number
            except BaseException:
                self._unwatch(client.fileno())
                raise
            self._unwatch(client.fileno())
            if request is None:
                client.close()
                return
            self._carry_out(request, fds, client)
        except OSError as error:
            _reply(client, {"error": error.strerror or str(error), "errno": error.errno})
        except Exception as error:
            # Whatever it was that came, the lab does not die of it.
            _reply(client, {"error": f"not a request this lab understands: {error!r}"})
        finally:
            for fd in fds:
                os.close(fd)

    def _carry_out(self, request: dict[str, Any], fds: list[int], client: socket.socket) -> None:
        # Whoever saw a program end asks about one that has ended, whatever the loop read first.
        self._reap()
        # And whoever set an interface down looks for a link whose other end has noticed.
        if self._carriers is not None:
            self._carriers.catch_up()
        match request["do"]:
            case "start":
                _reply(client, self._start(request, fds).as_json())
            case "list":
                programs = [program.as_json() for program in self._programs.values()]
                _reply(client, {"programs": programs})
            case "signal":
                program = self._programs[request["name"]]
                if program.ended is None:
                    os.killpg(program.pid, request["signal"])
                _reply(client, program.as_json())
            case "wait":
                program = self._programs[request["name"]]
                if program.ended is None:
                    program.waiters.append(client)
                    self._watch(client.fileno(), lambda: self._forget(program, client))
                else:
                    _reply(client, program.as_json())
            case "socket":
                self._open_socket(request, client)
            case unknown:
                raise ValueError(unknown)

    def _forget(self, program: _Program, client: socket.socket) -> None:
        # It had a deadline, or was killed: nobody waits there any more.
        self._unwatch(client.fileno())
        program.waiters.remove(client)
        client.close()

    def _start(self, request: dict[str, Any], fds: list[int]) -> _Program:
        """Fork and execute; raises ``OSError`` of whatever failed in the child."""
        name, argv = request["name"], request["argv"]
        old = self._programs.get(name)
        if old is not None:
            if old.ended is None:
                raise FileExistsError(17, f'a program called "{name}" is running already')
            # Something of it that still writes would write into the log of the new one.
            old.log.close()
        # Before the fork: where there is no room for it, nothing has been started.
        log = LogWriter(name, self._logs_fd)
        try:
            pid, output_fd = self._spawner.spawn(request, fds)
        except BaseException:
            log.close()
            raise
        program = _Program(name, request["node"], argv, pid, log)
        program.output_fd = output_fd
        os.set_blocking(output_fd, False)
        self._watch(output_fd, lambda: self._read_output(program))
        self._programs.pop(name, None)
        self._programs[name] = program
        return program

    def _open_socket(self, request: dict[str, Any], client: socket.socket) -> None:
        sock = self._places.open_socket(
            request["netns"], request["family"], request["type"], request["protocol"]
        )
        # Its own copy is closed first, so that the end of the answer says that the other one is
        # the only one: closing that closes the socket.
        with client, sock:
            messages.send(client, {}, [sock.fileno()])

    def _read_output(self, program: _Program) -> None:
        assert program.output_fd is not None
        try:
            data = os.read(program.output_fd, _READ_BYTES)
        except BlockingIOError:
            return
        if data:
            program.log.append(data, time.time_ns())
            return
        # Every process that had the pipe has closed it; the program itself may still run.
        self._unwatch(program.output_fd)
        os.close(program.output_fd)
        program.output_fd = None
        program.log.close()

    def _wake(self, wake_fd: int) -> None:
        try:
            os.read(wake_fd, 4096)
        except BlockingIOError:
            pass
        self._reap()

    def _reap(self) -> None:
        running = {p.pid: p for p in self._programs.values() if p.ended is None}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Orphans of programs and of joiners come to pid 1 as well.
            program = running.get(pid)
            if program is not None:
                self._note_end(program, os.waitstatus_to_exitcode(status))

    def _note_end(self, program: _Program, exit_status: int) -> None:
        if program.output_fd is not None:
            self._drain(program)
        program.exit_status = exit_status
        program.ended = time.time()
        for waiter in program.waiters:
            self._unwatch(waiter.fileno())
            _reply(waiter, program.as_json())
        program.waiters = []

    def _drain(self, program: _Program) -> None:
        # What it wrote last is in the pipe still, and belongs before its end. A child of its own
        # may go on writing for ever: take what one pipe can hold (64 KiB), not more.
        for _ in range(2):
            if program.output_fd is not None:
                self._read_output(program)


class _GivenUp(Exception):
    """The launcher ended without committing."""


def _reply(client: socket.socket, answer: dict[str, object]) -> None:
    with client:
        try:
            messages.send(client, answer)
        except OSError:
            pass  # whoever asked has gone, or does not read: nothing depends on it
