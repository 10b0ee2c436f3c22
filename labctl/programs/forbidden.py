"""The system calls that a sandboxed program is refused, and why."""

import errno
import socket

from labctl.kernel.seccomp import Argument, Compare, Filter, Refusal

_FAMILIES = (
    socket.AF_UNIX,
    socket.AF_INET,
    socket.AF_INET6,
    socket.AF_NETLINK,
    socket.AF_PACKET,
)
"""Kinds of sockets that belong to the node. Others, such as vsock and Bluetooth, know no network
namespaces and reach the machine itself."""

_OTHERS_MEMORY = ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp")
_KEYRINGS = ("add_key", "request_key", "keyctl")  # they belong to the user, not to a namespace
_COMPLICATED = (
    # Where most holes of kernels have been, and nothing that a lab is about.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
)
_UNBOUNDED_MEMORY = (
    # No size of a tmpfs and no limit of a process counts what is kept here.
    "memfd_create",
    "memfd_secret",
    "shmget",
    "msgget",
)
_MACHINE = (
    "open_by_handle_at",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "swapon",
    "swapoff",
    "reboot",
    "quotactl",
    "quotactl_fd",
    "acct",
    "syslog",
    "fanotify_init",
)
_NAMESPACES = (
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "mount_setattr",
)
_CLONE_FLAGS = {
    # include/uapi/linux/sched.h; one rule for each, since a filter cannot ask for any of them.
    "CLONE_NEWNS": 0x0002_0000,
    "CLONE_NEWCGROUP": 0x0200_0000,
    "CLONE_NEWUTS": 0x0400_0000,
    "CLONE_NEWIPC": 0x0800_0000,
    "CLONE_NEWUSER": 0x1000_0000,
    "CLONE_NEWPID": 0x2000_0000,
    "CLONE_NEWNET": 0x4000_0000,
}


def _other_families() -> list[Refusal]:
    arguments = [
        *(Argument(0, Compare.EQUALS, n) for n in range(max(_FAMILIES)) if n not in _FAMILIES),
        Argument(0, Compare.ABOVE, max(_FAMILIES)),
    ]
    return [
        Refusal(call, argument, errno.EAFNOSUPPORT)
        for call in ("socket", "socketpair")
        for argument in arguments
    ]


EVERYWHERE: Filter = [
    *map(Refusal, (*_OTHERS_MEMORY, *_KEYRINGS, *_COMPLICATED, *_UNBOUNDED_MEMORY, *_MACHINE)),
    *_other_families(),
]
"""What not even the program that makes the sandbox needs."""

INSIDE: Filter = [
    *map(Refusal, _NAMESPACES),
    *(Refusal("clone", Argument(0, Compare.HAS_BITS, bit)) for bit in _CLONE_FLAGS.values()),
    # Its flags are in memory, where a filter cannot look. The C library then takes clone.
    Refusal("clone3", error=errno.ENOSYS),
]
"""What the program that makes the sandbox needs, and the one in it does not."""
