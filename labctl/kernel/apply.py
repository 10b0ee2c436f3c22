"""Carries steps out: one ``match``, one netlink socket a namespace, messages in batches."""

import os
from _socket import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

from labctl.errors import LabError, machine_error
from labctl.kernel import netlink, redirect
from labctl.kernel.namespaces import CLONE_NEWNET, MS_BIND, mount, setns, unshare
from labctl.plan.steps import (
    AddRoute,
    AssignAddress,
    AttachToBridge,
    BringUp,
    BringUpSilent,
    CreateBridge,
    CreateHiddenNamespace,
    CreateLink,
    CreateNamespace,
    Impair,
    KernelStep,
    PassFrames,
    SetSysctl,
    WriteHosts,
)
from labctl.wait import until

NETNS_DIRECTORY = "/run/netns"
"""Where ``ip netns`` looks (ip-netns(8)); private to the lab where it is rootless."""

_ACTIVE_WITHIN_S = 2.0

_HINTS = {
    1: "run `labctl doctor`: this machine may not allow it",
    2: "the kernel has no such setting; `sysctl -a` inside a node lists those that exist",
    12: "the machine is out of memory",
    22: "the kernel does not accept this value",
    24: "raise the limit of open files (ulimit -n): a lab needs two for each node",
    28: "user.max_net_namespaces is used up: take labs down, or raise it with sysctl",
    95: "the kernel lacks this kind of device: try `sudo modprobe veth bridge`",
}
"""What to do next, by errno."""


class StepFailed(Exception):
    """The kernel refused a step."""

    def __init__(self, step: KernelStep, error: OSError) -> None:
        super().__init__(step, error)
        self.step = step
        self.error = error

    def as_lab_error(self) -> LabError:
        """Return it as a sentence for the user: the step, the kernel's words, what to do."""
        if isinstance(self.step, Impair):
            from labctl.kernel import qdisc

            return qdisc.refused(self.error, self.step.interface)
        reason = self.error.strerror or str(self.error)
        command = self.step.command().splitlines()[0]
        return machine_error(
            f"the kernel refused `{command}`: {reason}", hint=_HINTS.get(self.error.errno or 0, "")
        )


class NameTaken(Exception):
    """A network namespace of that name exists already."""

    def __init__(self, netns: str) -> None:
        super().__init__(netns)
        self.netns = netns


class _Namespace(NamedTuple):
    fd: int
    batch: netlink.Batch
    sock: socket
    first_index: int


class Builder:
    """The namespaces of a lab while it is built.

    ``claim`` is called with the name and inode of each namespace before the name appears in
    ``NETNS_DIRECTORY``; ``hosts_directory`` receives ``NETNS/hosts`` files; ``progress`` hears
    how many steps are done.
    """

    def __init__(
        self,
        hosts_directory: str,
        claim: Callable[[str, int], None],
        progress: Callable[[int], None],
    ) -> None:
        self._hosts_directory = hosts_directory
        self._claim = claim
        self._progress = progress
        self._namespaces: dict[str, _Namespace] = {}
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._inside = ""
        self._open_batch: netlink.Batch | None = None

    def apply(self, steps: Sequence[KernelStep]) -> None:
        """Carry the steps out in order.

        Raises ``StepFailed`` for the first one that the kernel refuses, and ``NameTaken`` where
        a namespace's name is in use. What was built until then stays: undoing is the holder's.
        """
        step = steps[0] if steps else None
        try:
            for number, step in enumerate(steps, start=1):
                self._apply(step, number)
                if number % 256 == 0:
                    self._progress(number)
            for namespace in self._namespaces.values():
                namespace.batch.flush()
            self._await_interfaces(steps)
        except netlink.NetlinkError as error:
            raise StepFailed(steps[error.position - 1], error) from error
        except OSError as error:
            assert step is not None
            raise StepFailed(step, error) from error
        finally:
            setns(self._home, CLONE_NEWNET)

    def keep(self, netns: str) -> int:
        """Return a descriptor that keeps a namespace alive after ``close``."""
        return os.dup(self._namespaces[netns].fd)

    def close(self) -> None:
        """Close every descriptor; the names (and, rootless, the holder) keep the namespaces."""
        for namespace in self._namespaces.values():
            namespace.sock.close()
            os.close(namespace.fd)
        os.close(self._home)
        self._namespaces = {}

    def _apply(self, step: KernelStep, number: int) -> None:
        match step:
            case CreateNamespace():
                self._create_namespace(step, number)
            case CreateHiddenNamespace():
                unshare(CLONE_NEWNET)
                fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._remember(step.netns, fd)
            case SetSysctl():
                self._set_sysctl(step)
            case CreateBridge():
                index = self._index(step.netns, step.ifindex)
                self._send(step.netns, netlink.create_bridge(step.interface, index), number)
            case CreateLink(near, peer):
                message = netlink.create_veth(
                    (near.interface, self._index(near.netns, near.ifindex), near.mac, near.mtu),
                    (peer.interface, self._index(peer.netns, peer.ifindex), peer.mac, peer.mtu),
                    self._namespaces[peer.netns].fd,
                )
                self._send(near.netns, message, number)
            case AttachToBridge():
                index = self._index(step.netns, step.ifindex)
                bridge = self._index(step.netns, step.bridge_ifindex)
                self._send(step.netns, netlink.set_master(index, bridge), number)
            case AssignAddress():
                index = self._index(step.netns, step.ifindex)
                self._send(step.netns, netlink.add_address(index, step.address), number)
            case Impair():
                # Imported here because few labs start with bad links.
                from labctl.kernel import qdisc
                from labctl.topology.impairment_words import parse_impairment

                index = self._index(step.netns, step.ifindex)
                message = qdisc.add(index, parse_impairment(step.words.split()))
                self._send(step.netns, message, number)
            case BringUp():
                index = self._index(step.netns, step.ifindex)
                self._send(step.netns, netlink.set_up(index), number)
            case BringUpSilent():
                index = self._index(step.netns, step.ifindex)
                self._send(step.netns, netlink.set_up_silent(index), number)
            case PassFrames():
                index = self._index(step.netns, step.ifindex)
                to_index = self._index(step.netns, step.to_ifindex)
                self._send(step.netns, redirect.add_ingress(index), number)
                self._send(step.netns, redirect.redirect(index, to_index), number)
            case AddRoute():
                self._send(step.netns, netlink.add_route(step.to, step.via), number)
            case WriteHosts():
                self._write_hosts(step)
            case _:
                assert_never(step)

    def _create_namespace(self, step: CreateNamespace, number: int) -> None:
        path = f"{NETNS_DIRECTORY}/{step.netns}"
        unshare(CLONE_NEWNET)
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._claim(step.netns, os.fstat(fd).st_ino)
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
        except FileExistsError as error:
            raise NameTaken(step.netns) from error
        mount("/proc/self/ns/net", path, flags=MS_BIND)
        self._remember(step.netns, fd)
        # Sent with whatever this namespace is told next: nothing depends on it.
        self._namespaces[step.netns].batch.add(netlink.set_up(netlink.LOOPBACK_INDEX), number)

    def _await_interfaces(self, steps: Sequence[KernelStep]) -> None:
        """Wait until wired links and bridges pass frames.

        The hidden ends of the links were set up before the nodes'. A port of a bridge whose link
        is dark so far has nothing to wait for.
        """
        for step in steps:
            if isinstance(step, BringUpSilent | AttachToBridge):
                sock = self._namespaces[step.netns].sock
                ifindex = self._index(step.netns, step.ifindex)
                self._await_active(sock, ifindex, isinstance(step, AttachToBridge))

    def _await_active(self, sock: socket, ifindex: int, or_no_carrier: bool) -> None:
        def is_active() -> bool:
            return netlink.is_active(sock, ifindex, or_no_carrier=or_no_carrier)

        if not is_active():
            until(is_active, _ACTIVE_WITHIN_S)

    def _remember(self, netns: str, fd: int) -> None:
        """Keep the namespace that the process is in, with a socket of it."""
        self._inside = netns
        sock = netlink.open_socket()
        if not self._namespaces:
            # Where modules such as sit or ipip are loaded, every new namespace has their
            # fallback devices from the start, and ours are numbered after them.
            self._first_free = 1 + max(index for index, _ in netlink.list_links(sock))
        self._namespaces[netns] = _Namespace(fd, netlink.Batch(sock), sock, self._first_free)

    def _index(self, netns: str, planned: int) -> int:
        """Return the real number of an interface that the plan numbered from 2."""
        return planned - 2 + self._namespaces[netns].first_index

    def _send(self, netns: str, message: bytes, number: int) -> None:
        batch = self._namespaces[netns].batch
        self._switch_batch(batch)
        batch.add(message, number)

    def _switch_batch(self, batch: netlink.Batch | None) -> None:
        # Steps happen in order, so one namespace's messages are sent before the next one's.
        if self._open_batch is not None and self._open_batch is not batch:
            self._open_batch.flush()
        self._open_batch = batch

    def _set_sysctl(self, step: SetSysctl) -> None:
        if self._inside != step.netns:
            setns(self._namespaces[step.netns].fd, CLONE_NEWNET)
            self._inside = step.netns
        path = "/proc/sys/" + step.key.replace(".", "/")
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, step.value.encode())
        finally:
            os.close(fd)

    def _write_hosts(self, step: WriteHosts) -> None:
        folder = f"{self._hosts_directory}/{step.netns}"
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        path = f"{folder}/hosts"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # Whatever the umask is: programs of other users have to read it as well.
            os.fchmod(fd, 0o644)
            os.write(fd, step.text.encode())
        finally:
            os.close(fd)
