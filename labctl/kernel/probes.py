"""The things a lab is made of, each done once in a child that is thrown away.

Every function raises ``OSError`` where the machine refuses. They change the process that calls
them: call them through ``in_child``.
"""

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable
from struct import pack
from typing import NoReturn

from labctl.errors import LabError
from labctl.kernel import netlink, packet_socket, redirect, rootless
from labctl.kernel.interrupts import uninterrupted
from labctl.kernel.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
    ROOTLESS,
    mount,
    unmount,
    unshare,
)

_PLAIN = MS_NOSUID | MS_NODEV | MS_NOEXEC
_TUNSETIFF = 0x4004_54CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_LEFT, _RIGHT = 1001, 1002


def in_child(action: Callable[[], None]) -> OSError | None:
    """Do something in a forked child; return the error it met, if any."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    try:
        with uninterrupted() as mask:
            pid = os.fork()
            if pid == 0:
                _carry_out(action, write_fd, mask)
    except OSError as error:  # as many processes as the user may have
        os.close(read_fd)
        os.close(write_fd)
        return error
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if said:
        number, _, text = said.partition(" ")
        if number == "0":
            raise RuntimeError(text)
        return OSError(int(number), text)
    if code < 0:
        # SIGSYS is how a seccomp filter may answer instead of with an error.
        return OSError(errno.EPERM, f"ended by {signal.Signals(-code).name}")
    return None


def _carry_out(
    action: Callable[[], None], write_fd: int, mask: "set[signal.Signals | int]"
) -> NoReturn:
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        action()
    except BaseException as error:
        cause = error.__cause__ if isinstance(error, LabError) else error
        if isinstance(cause, OSError) and cause.errno:
            said = f"{cause.errno} {cause.strerror}"
        else:
            said = f"0 {type(error).__name__}: {error}"
        os.write(write_fd, said.encode())
    finally:
        os._exit(0)


def user_namespace() -> None:
    """Enter a user namespace, with nobody in it."""
    unshare(CLONE_NEWUSER)


def id_map() -> None:
    """Become root of a user namespace."""
    rootless.unshare_all(CLONE_NEWUSER)


def namespace(flag: int) -> None:
    """Enter one other namespace, as the root of a user namespace."""
    rootless.unshare_all(CLONE_NEWUSER)
    unshare(flag)


def rootless_network() -> None:
    """Enter a network of one's own without being root."""
    rootless.unshare_all(CLONE_NEWUSER | CLONE_NEWNET)


def root_network() -> None:
    """Enter a network of one's own as root."""
    unshare(CLONE_NEWNET)


def in_lab(action: Callable[[], None]) -> None:
    """Do something as pid 1 of all the namespaces that a rootless lab has."""
    rootless.unshare_all(ROOTLESS)
    _as_pid_1(action)


def in_root_lab(action: Callable[[], None]) -> None:
    """Do something as pid 1 of a root lab, with mounts that nobody else sees."""
    unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS)
    _as_pid_1(action)


def _as_pid_1(action: Callable[[], None]) -> None:
    mount(None, "/", flags=MS_REC | MS_SLAVE)
    error = in_child(action)
    if error is not None:
        raise error


def mount_proc() -> None:
    """Mount a new /proc."""
    mount("proc", "/proc", "proc", _PLAIN)


def mount_sysfs() -> None:
    """Mount a new /sys, which shows the interfaces of one network namespace."""
    mount("sysfs", "/sys", "sysfs", _PLAIN)


def mount_run() -> None:
    """Mount a new /run."""
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")


def cover_etc() -> None:
    """Make room in /etc for the nodes' hosts files."""
    mount_run()
    os.mkdir("/run/upper")
    os.mkdir("/run/work")
    if os.path.isdir("/etc/netns"):
        mount("/run/upper", "/etc/netns", flags=MS_BIND)
    else:
        options = "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work,userxattr"
        mount("overlay", "/etc", "overlay", options=options)


def name_network() -> None:
    """Give a network namespace a name, as ``ip netns add`` does, in a /run of one's own."""
    mount_run()
    os.mkdir("/run/netns")
    os.close(os.open("/run/netns/probe", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0))
    unshare(CLONE_NEWNET)
    mount("/proc/self/ns/net", "/run/netns/probe", flags=MS_BIND)


def change_mounts() -> None:
    """Raise ``OSError`` where this process may not change the mounts it sees; changes none."""
    try:
        # No mount point, which the kernel says only to those who may unmount.
        unmount("/proc/self/fdinfo")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def create_veth() -> None:
    """Create a pair of connected interfaces in the network namespace that the process is in."""
    fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _send(netlink.create_veth(("left", _LEFT, "", 0), ("right", _RIGHT, "", 0), fd))


def create_bridge() -> None:
    """Create a switch."""
    _send(netlink.create_bridge("switch", 1001))


def add_netem() -> None:
    """Put netem on the loopback interface of one's own network."""
    _send(redirect.add_netem(netlink.LOOPBACK_INDEX))


def lead_frames_aside() -> None:
    """Do what a wired link needs: a redirect, and packet sockets that know about offloads."""
    create_veth()
    _send(redirect.add_ingress(_LEFT))
    _send(redirect.redirect(_LEFT, _RIGHT))
    packet_socket.open_reader("left").close()
    packet_socket.open_writer("right").close()


def add_ipv6_address() -> None:
    """Give the loopback interface of one's own network an IPv6 address."""
    _send(netlink.add_address(netlink.LOOPBACK_INDEX, "fd00::1/128"))


def open_tap() -> None:
    """Make a tap interface, whose other end is a file (Documentation/networking/tuntap.rst)."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, _TUNSETIFF, pack("16sH22x", b"tap0", _IFF_TAP | _IFF_NO_PI))


def open_raw_sockets() -> None:
    """Open what ping, traceroute and tcpdump need (raw(7), packet(7))."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def _send(message: bytes) -> None:
    batch = netlink.Batch(netlink.open_socket())
    batch.add(message, 1)
    batch.flush()
