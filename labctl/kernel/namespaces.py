"""The system calls for namespaces and mounts, which Python 3.11 does not have.

Names and numbers are the kernel's own (include/uapi/linux/{sched,mount,prctl}.h). Everything here
raises ``OSError`` with the name of the call in its text.
"""

import ctypes
import os
import sys

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

ROOTLESS = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
"""All that a lab without root has of its own."""

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_PR_SET_NO_NEW_PRIVS = 38
_INSTRUCTION_BYTES = 8  # struct sock_filter

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling process new namespaces (unshare(2)).

    With ``CLONE_NEWUSER`` the process must have a single thread.
    """
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Join the namespaces behind a namespace file or a pidfd (setns(2))."""
    _check(_libc.setns(fd, flags), "setns")


def mount(
    source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str = ""
) -> None:
    """Mount ``source`` on ``target`` (mount(2))."""
    result = _libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        flags,
        options.encode() or None,
    )
    _check(result, f"mount on {target}")


def unmount(target: str) -> None:
    """Take away the topmost mount on ``target``, also while it is in use (umount2(2))."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount of {target}")


def sethostname(name: str) -> None:
    """Name the calling process's UTS namespace (sethostname(2))."""
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def die_with_parent(signal_number: int) -> None:
    """Be sent a signal when the parent thread ends (PR_SET_PDEATHSIG).

    A change of credentials, such as joining a user namespace, clears it: call it afterwards.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def set_process_name(name: str) -> None:
    """Set the name that ``ps -o comm`` shows, at most 15 bytes (PR_SET_NAME)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    _check(_libc.prctl(PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0), "prctl")


def set_seccomp_filter(program: bytes) -> None:
    """Put a classic BPF program on this process, and on all that come from it, for good (seccomp(2)).

    Needs CAP_SYS_ADMIN in the process's user namespace, or ``forbid_new_privileges`` before.
    """
    word = ctypes.sizeof(ctypes.c_void_p)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, padding, a pointer.
    filter_of_calls = ctypes.create_string_buffer(
        (len(program) // _INSTRUCTION_BYTES).to_bytes(word, sys.byteorder)
        + ctypes.addressof(instructions).to_bytes(word, sys.byteorder)
    )
    _check(
        _libc.prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_of_calls), 0, 0),
        "seccomp",
    )


def forbid_new_privileges() -> None:
    """Let no file that this process executes give it any privilege (PR_SET_NO_NEW_PRIVS)."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
