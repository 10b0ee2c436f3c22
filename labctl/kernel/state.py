"""A lab's folder on disk: its lock, who holds it, and what was made outside its own namespaces.

``BASE/NAME/`` holds

* ``lock``: locked (flock) by the launcher, then by the holder, for as long as the lab lives;
* ``holder``: the holder's identity, one ``key value`` a line;
* ``nodes``: ``node<TAB>netns`` lines;
* ``topology.json``: the resolved lab;
* ``committed``: there once ``up`` is done; the lab of a check, which ends with it, never has it;
* ``claims``: in root mode, ``netns inode`` of each name that the lab takes in /run/netns,
  written before the name exists;
* ``control``: the holder's socket; ``joiners/``: who is inside by ``exec`` or ``shell``;
* ``etc/NETNS/hosts`` and ``logs/``.

Plain text, not JSON, where ``exec`` and ``down`` read it, and a plain class where a named tuple
would do elsewhere: importing ``json`` or ``typing`` would cost those commands a quarter of their
time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from labctl.errors import LabError, machine_error
from labctl.kernel.folders import empty_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NETNS_DIRECTORY = "/run/netns"
ETC_NETNS = "/etc/netns"


def base_directory() -> str:
    """Return the folder of this user's labs, made with mode 0700 where it is not there yet.

    Raises ``LabError`` where it belongs to somebody else.
    """
    uid = os.geteuid()
    if uid == 0:
        parent = "/run"
    elif (runtime := os.environ.get("XDG_RUNTIME_DIR")) and _is_own_directory(runtime, uid):
        parent = runtime
    elif _is_own_directory(f"/run/user/{uid}", uid):
        parent = f"/run/user/{uid}"
    else:
        return _private_directory(f"/tmp/labctl-{uid}", uid)
    return _private_directory(f"{parent}/labctl", uid)


def _is_own_directory(path: str, uid: int) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid


def _private_directory(path: str, uid: int) -> str:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise machine_error(
            f"cannot make {path}: {error.strerror}",
            hint="set XDG_RUNTIME_DIR to a folder of your own",
        ) from error
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
        raise machine_error(
            f"{path} is not a folder that only you can enter",
            hint=f"look at it, then remove it: rm -r {path}",
        )
    return path


class Holder:
    """Which process holds a lab; pid and start time together name it beyond pid reuse.

    ``start`` is in clock ticks since boot, ``mode`` is ``root`` or ``rootless``, ``since`` is in
    seconds since 1970, ``source`` is the lab file as it was found.
    """

    __slots__ = ("boot", "mode", "pid", "since", "source", "start")

    def __init__(
        self, *, pid: int, start: int, boot: str, mode: str, since: float, source: str
    ) -> None:
        self.pid = pid
        self.start = start
        self.boot = boot
        self.mode = mode
        self.since = since
        self.source = source

    def as_text(self) -> str:
        """Return the lines of the ``holder`` file."""
        # The source last: the name of a file may have any character in it, also a newline.
        names = [name for name in self.__slots__ if name != "source"]
        return "".join(f"{name} {getattr(self, name)}\n" for name in [*names, "source"])

    @classmethod
    def from_text(cls, text: str) -> Holder:
        """Return what ``as_text`` wrote."""
        head, _, source = text.partition("\nsource ")
        fields = dict(line.split(" ", 1) for line in head.split("\n"))
        return cls(
            pid=int(fields["pid"]),
            start=int(fields["start"]),
            boot=fields["boot"],
            mode=fields["mode"],
            since=float(fields["since"]),
            source=source.removesuffix("\n"),
        )


def start_time(pid: int | str) -> int:
    """Return when a process started, in clock ticks since boot (proc_pid_stat(5), field 22)."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        text = file.read()
    # The name in field 2 may hold spaces and parentheses; the last one ends it.
    return int(text[text.rindex(b")") + 2 :].split()[19])


def boot_id() -> str:
    """Return the kernel's name for this boot (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
        return file.read().decode().strip()


class LabState:
    """The folder of one lab. Creating the object touches nothing."""

    def __init__(self, name: str, base: str | None = None) -> None:
        if not name or name.startswith(".") or "/" in name or "\0" in name or len(name) > 63:
            raise LabError(f'"{name}" cannot be the name of a lab', hint="labctl status lists labs")
        self.name = name
        self.base = base_directory() if base is None else base
        self.path = f"{self.base}/{name}"

    def file(self, name: str) -> str:
        """Return the path of one file of the lab."""
        return f"{self.path}/{name}"

    def exists(self) -> bool:
        """Whether there is a folder at all, of a living lab or of a crashed one."""
        return os.path.isdir(self.path)

    def acquire(self, *, create: bool) -> int | None:
        """Lock the lab and return the lock's descriptor, or ``None`` where somebody holds it.

        Raises ``FileNotFoundError`` where the lab has no folder and ``create`` is false.
        """
        while True:
            if create:
                try:
                    os.mkdir(self.path, 0o700)
                except FileExistsError:
                    pass
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
            try:
                fd = os.open(self.file("lock"), flags, 0o600)
            except FileNotFoundError:
                if create:
                    continue  # removed between the two calls
                if not self.exists():
                    raise
                # A launcher died between making the folder and the lock.
                create = True
                continue
            except OSError:
                self._remove_if_empty()  # the disk is full
                raise
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return None
            # Whoever had it may have removed the folder meanwhile: then this is nobody's lock.
            try:
                if os.path.samestat(os.fstat(fd), os.stat(self.file("lock"))):
                    return fd
            except FileNotFoundError:
                pass
            os.close(fd)

    def _remove_if_empty(self) -> None:
        try:
            os.rmdir(self.path)
        except OSError:
            pass

    def write(self, name: str, text: str) -> None:
        """Write one file so that a reader sees all of it or nothing."""
        temporary = self.file(f"{name}.new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            data = os.fsencode(text)
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(temporary, self.file(name))

    def read(self, name: str) -> str | None:
        """Return the text of one file, or ``None`` where it is not there."""
        try:
            with open(self.file(name), "rb", buffering=0) as file:
                return os.fsdecode(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def holder(self) -> Holder | None:
        """Return the recorded holder, alive or not."""
        text = self.read("holder")
        if text is None:
            return None
        try:
            return Holder.from_text(text)
        except (KeyError, ValueError):
            raise machine_error(
                f'the lab "{self.name}" was built by another version of labctl',
                hint=f"take it down with that one, or end its holder: see {self.file('holder')}",
            ) from None

    def open_holder(self) -> tuple[Holder, int] | None:
        """Return the holder with a pidfd for it, or ``None`` where it is dead.

        The pidfd is opened first and the identity compared after: whatever process the pidfd
        means, it is the one that was compared, if it is still alive then.
        """
        holder = self.holder()
        if holder is None or holder.boot != boot_id():
            return None
        pidfd = open_process(holder.pid, holder.start)
        return None if pidfd is None else (holder, pidfd)

    def is_up(self) -> bool:
        """Whether the lab's holder is alive."""
        opened = self.open_holder()
        if opened is None:
            return False
        os.close(opened[1])
        return True

    def is_committed(self) -> bool:
        """Whether the lab outlives whoever built it: not while it is built, nor one of a check."""
        return os.path.exists(self.file("committed"))

    def netns(self, node: str) -> str | None:
        """Return the namespace name of a node, or ``None`` where the lab has no such node."""
        return self.nodes().get(node)

    def nodes(self) -> dict[str, str]:
        """Return node names with their namespace names, in the order of the lab file."""
        text = self.read("nodes") or ""
        return dict(line.split("\t", 1) for line in text.splitlines())

    def claim(self, claims_fd: int, netns: str, inode: int) -> None:
        """Note that the lab is about to give a namespace this name."""
        line = f"{netns} {inode}\n".encode()
        if os.write(claims_fd, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def remove_names(self, claims: str | None = None) -> None:
        """Take away the names that the lab has in /run/netns and /etc/netns, and no others.

        ``claims`` is what was read of that file earlier, for a caller who does not have the lock:
        by now it may be the file of a new lab with the same name.
        """
        # Imported here: `down` has killed the holder by now, and the kernel is at work meanwhile.
        from labctl.kernel.namespaces import unmount

        for line in (self.read("claims") or "" if claims is None else claims).splitlines():
            netns, _, inode = line.partition(" ")
            if not inode.isdecimal():
                continue  # the disk was full: a claim is written whole before the name is made
            path = f"{NETNS_DIRECTORY}/{netns}"
            link = f"{ETC_NETNS}/{netns}"
            try:
                status = os.stat(path)
                if status.st_ino == int(inode):
                    unmount(path)
                    os.unlink(path)
                elif status.st_size == 0 and not os.path.ismount(path):
                    os.unlink(path)  # named, but not yet mounted upon
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL, errno.EBUSY):
                    raise
            try:
                if os.readlink(link).startswith(f"{self.path}/"):
                    os.unlink(link)
            except OSError:
                pass

    def remove(self) -> None:
        """Remove the folder. The caller holds the lock, which goes last."""
        empty_folder(self.path, but="lock")
        try:
            os.unlink(self.file("lock"))
            os.rmdir(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            # Somebody else began a new lab of this name in the moment after the unlink.
            if error.errno != errno.ENOTEMPTY:
                raise


def open_process(pid: int, start: int) -> int | None:
    """Return a pidfd for the process that had this pid and start time, or ``None``."""
    try:
        pidfd = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return None
    try:
        if start_time(pid) == start and is_alive(pidfd):
            return pidfd
    except (OSError, ValueError):
        pass
    os.close(pidfd)
    return None


def is_alive(pidfd: int) -> bool:
    """Whether the process behind a pidfd still runs (a pidfd is readable once it has ended)."""
    return not wait_ended(pidfd, 0)


def wait_ended(pidfd: int, seconds: float) -> bool:
    """Wait until the process behind a pidfd has ended; return whether it has."""
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))


def all_labs(base: str | None = None) -> Iterator[LabState]:
    """Yield every lab folder of this user, in order of name."""
    base = base_directory() if base is None else base
    for name in sorted(os.listdir(base)):
        if os.path.isdir(f"{base}/{name}"):
            yield LabState(name, base)


def find_lab(name: str | None) -> tuple[LabState, Holder, int]:
    """Return a running lab with its holder and a pidfd for it.

    Without a name it is the only one that is up and committed. Raises ``LabError`` where there is
    none, or where several are.
    """
    if name is not None:
        state = LabState(name)
        opened = state.open_holder()
        if opened is None:
            raise _not_up(name)
        return state, *opened
    committed = (state for state in all_labs() if state.is_committed())
    running = [(state, opened) for state in committed if (opened := state.open_holder())]
    if not running:
        raise LabError("no lab is up", hint="labctl up two_clients")
    if len(running) > 1:
        for _, (_, pidfd) in running:
            os.close(pidfd)
        names = " ".join(state.name for state, _ in running)
        raise LabError(f"several labs are up: {names}", hint="choose one with -l LAB")
    state, opened = running[0]
    return state, *opened


def _not_up(name: str) -> LabError:
    running = [state.name for state in all_labs() if state.is_up()]
    if running:
        return LabError(f'lab "{name}" is not up', hint=f"these are: {' '.join(running)}")
    return LabError(f'lab "{name}" is not up', hint=f"labctl up {name}")
