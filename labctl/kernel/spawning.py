"""Starts programs in the nodes of a lab, as children of the lab's holder."""

import errno
import os
import resource
import signal
from collections.abc import Sequence
from typing import Any, NoReturn

from labctl.kernel.confine import confine
from labctl.kernel.joining import enter_node
from labctl.kernel.places import Places

_DEFAULT_SIGNALS = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGXFSZ,
)
"""What a program gets anew: the interpreter ignores some, the launcher's parent perhaps others."""


class Spawner:
    """What is the same for all programs of a lab.

    ``hosts_directory`` and ``mount_proc`` are the holder's. Programs get the limit of open files
    that this process has now.
    """

    def __init__(self, places: Places, hosts_directory: str, *, mount_proc: bool) -> None:
        self._places = places
        self._hosts_directory = hosts_directory
        self._mount_proc = mount_proc
        self._file_limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> tuple[int, int]:
        """Return the process id, and the reading end of the program's output.

        Raises ``OSError`` of whatever failed in the child.
        """
        opened: list[int] = []
        try:
            output_read, output_write = os.pipe2(os.O_CLOEXEC)
            opened += output_read, output_write
            failure_read, failure_write = os.pipe2(os.O_CLOEXEC)
            opened += failure_read, failure_write
            pid = os.fork()
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        if pid == 0:
            self._become(request, fds, output_write, failure_write)
        os.close(output_write)
        os.close(failure_write)
        failure = os.read(failure_read, 4096)  # ends at the exec, or has what went wrong
        os.close(failure_read)
        if failure:
            os.close(output_read)
            os.waitpid(pid, 0)
            number, _, text = failure.decode().partition(" ")
            raise OSError(int(number), text)
        return pid, output_read

    def _become(
        self, request: dict[str, Any], fds: Sequence[int], output: int, failure: int
    ) -> NoReturn:
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in _DEFAULT_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            resource.setrlimit(resource.RLIMIT_NOFILE, self._file_limits)
            given = dict(zip(request.get("files", ()), fds, strict=True))
            os.dup2(given["stdin"] if "stdin" in given else os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(given.get("stdout", output), 1)
            os.dup2(given.get("stderr", output), 2)
            netns = request["netns"]
            enter_node(
                netns or "wire",
                self._hosts_directory,
                mount_proc=self._mount_proc,
                netns_file=self._places.file(netns),
            )
            try:
                os.chdir(request["cwd"])
            except OSError:
                os.chdir("/")  # a folder that a rootless lab does not show, such as one in /run
            if request.get("recipe"):
                confine(request["recipe"], request["argv"])
            os.execvpe(request["argv"][0], request["argv"], request["env"])
        except OSError as error:
            os.write(failure, f"{error.errno or 5} {error.strerror}".encode())
        except Exception as error:
            os.write(failure, f"{errno.EINVAL} {error}".encode())
        finally:
            os._exit(127)
