"""Finds out what this machine can do, by doing it, and names what is in the way of the rest."""

import errno
import functools
import os
import resource
import shutil
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from labctl.errors import LabError
from labctl.kernel import blockers, namespaces, probes
from labctl.kernel.machine import container, distributions, has_misc_device
from labctl.kernel.modules import why_no_module
from labctl.kernel.state import base_directory

_Why = Callable[[OSError], tuple[str, str]]

Status = Literal["ok", "failed", "missing", "not tried"]
"""``missing`` is what labs can be built without."""


class Probe(NamedTuple):
    """What came of one attempt."""

    name: str
    status: Status
    detail: str = ""
    """Why it did not work, or a fact worth knowing."""
    fix: str = ""
    """A command to paste, or what to do where no command does it."""


class Examination(NamedTuple):
    """All that was tried, and what follows from it."""

    probes: tuple[Probe, ...]
    rootless: bool
    """Whether this user can build labs with ``--rootless``."""
    root: bool
    """Whether this user can build labs with ``--root``; never where the user is not root."""
    impairments: Literal["netem", "wire"] | None
    """What makes links bad here unless ``--impairments`` says otherwise; None where nothing can."""
    why: str
    """Why it is that one, or none."""


USER_NAMESPACE = "user namespace"
ID_MAP = "id map"
NAMESPACES = "other namespaces"
PROC = "own /proc"
SYS = "own /sys"
RUN = "own /run"
NAMES = "named networks"
HOSTS = "hosts files in /etc"
ROOT_NAMESPACES = "root: namespaces"
ROOT_MOUNTS = "root: mounts"
ROOT_NAMES = "root: named networks"
VETH = "veth pair"
NETEM = "netem"
WIRE = "wire"
STATE = "state folder"
FILES = "open files"

_ROOTLESS_NEEDS = (USER_NAMESPACE, ID_MAP, NAMESPACES, PROC, RUN, NAMES, VETH, STATE, FILES)
_ROOT_NEEDS = (ROOT_NAMESPACES, ROOT_MOUNTS, ROOT_NAMES, VETH, STATE, FILES)

_KINDS = {
    "mnt": namespaces.CLONE_NEWNS,
    "net": namespaces.CLONE_NEWNET,
    "pid": namespaces.CLONE_NEWPID,
    "ipc": namespaces.CLONE_NEWIPC,
    "uts": namespaces.CLONE_NEWUTS,
}

_TOOLS = {
    "ip": ("iproute2", "to look at interfaces and routes by hand"),
    "tc": ("iproute2", "to look at queueing disciplines by hand"),
    "ping": ("iputils-ping", "to see whether a node can be reached"),
    "tcpdump": ("tcpdump", "to see packets"),
    "nc": ("netcat-openbsd", "to talk to a server by hand"),
    "traceroute": ("traceroute", "to see which way packets take"),
    "bwrap": ("bubblewrap", "to grade other people's programs"),
    "newuidmap": ("uidmap", "for several users inside one rootless lab"),
}
"""Programs that labs use and labctl does not need: Debian package and purpose of each."""

_WIRE_MODULES = ("sch_ingress", "cls_u32", "act_mirred", "af_packet")

_DEVICE_CONTAINERS = ("docker", "podman")
"""Those whose command takes ``--device``."""

_FILES_AT_START = 16
"""Open in a holder before its first node: 12, and some for what a shell passes on."""
_FILES_PER_NODE = 2
_SMALL_LAB_NODES = 10


def examine() -> Examination:
    """Try everything; each attempt leaves nothing behind."""
    examiner = _Examiner()
    _try_rootless(examiner)
    _try_root(examiner)
    _try_network(examiner)
    examiner.add(_state_folder())
    examiner.add(_open_files())
    for tool in _TOOLS:
        examiner.add(_tool(tool))
    impairments, why = _impairments(examiner.done[NETEM], examiner.done[WIRE])
    return Examination(
        tuple(examiner.done.values()),
        rootless=impairments is not None and examiner.all_ok(_ROOTLESS_NEEDS),
        root=impairments is not None and examiner.all_ok(_ROOT_NEEDS),
        impairments=impairments,
        why=why,
    )


def _impairments(netem: Probe, wire: Probe) -> tuple[Literal["netem", "wire"] | None, str]:
    """Choose as ``labctl.plan.backend`` does for ``--impairments auto``."""
    if netem.status == "ok":
        return "netem", "the kernel has it"
    if wire.status == "ok":
        return "wire", netem.detail
    if wire.status == "not tried":
        return None, f"not tried, {wire.detail}"
    return None, f"{netem.detail}; {wire.detail}"


class _Examiner:
    """Keeps what was tried, in order; what depends on a failure is not tried."""

    def __init__(self) -> None:
        self.done: dict[str, Probe] = {}

    def add(self, probe: Probe) -> None:
        self.done[probe.name] = probe

    def all_ok(self, names: Sequence[str]) -> bool:
        return all(self.done[name].status == "ok" for name in names)

    def attempt(
        self,
        name: str,
        action: Callable[[], None],
        why: _Why,
        *,
        needs: Sequence[str] = (),
        optional: bool = False,
    ) -> None:
        """Carry an action out in a child of its own; ``why`` explains its error."""
        for needed in needs:
            if self.done[needed].status != "ok":
                self.add(Probe(name, "not tried", f'needs "{needed}"'))
                return
        error = probes.in_child(action)
        if error is None:
            self.add(Probe(name, "ok"))
        else:
            self.add(Probe(name, "missing" if optional else "failed", *why(error)))


def _try_rootless(examiner: _Examiner) -> None:
    examiner.attempt(USER_NAMESPACE, probes.user_namespace, blockers.why_no_user_namespace)
    examiner.attempt(ID_MAP, probes.id_map, blockers.why_no_id_map, needs=[USER_NAMESPACE])
    for kind, flag in _KINDS.items():
        # One by one, so that the one which is refused has a name.
        examiner.attempt(
            NAMESPACES,
            functools.partial(probes.namespace, flag),
            functools.partial(blockers.why_no_namespace, kind),
            needs=[ID_MAP],
        )
        if examiner.done[NAMESPACES].status != "ok":
            break
    inside: list[tuple[str, Callable[[], None], _Why, bool]] = [
        (PROC, probes.mount_proc, blockers.why_no_proc, False),
        (SYS, probes.mount_sysfs, _why_no_sys, True),
        (RUN, probes.mount_run, functools.partial(blockers.why_no_mount, "/run"), False),
        (NAMES, probes.name_network, functools.partial(blockers.why_no_mount, "/run/netns"), False),
        (HOSTS, probes.cover_etc, _why_no_hosts, True),
    ]
    for name, action, why, optional in inside:
        needs = [NAMESPACES, RUN] if name in (NAMES, HOSTS) else [NAMESPACES]
        act = functools.partial(probes.in_lab, action)
        examiner.attempt(name, act, why, needs=needs, optional=optional)


def _try_root(examiner: _Examiner) -> None:
    if os.geteuid() != 0:
        for name in (ROOT_NAMESPACES, ROOT_MOUNTS, ROOT_NAMES):
            examiner.add(
                Probe(name, "not tried", "needs root", 'sudo "$(command -v labctl)" doctor')
            )
        return
    examiner.attempt(
        ROOT_NAMESPACES,
        functools.partial(probes.in_root_lab, lambda: None),
        blockers.why_no_root_namespace,
    )
    examiner.attempt(
        ROOT_MOUNTS, probes.change_mounts, _why_no_root_mounts, needs=[ROOT_NAMESPACES]
    )
    examiner.attempt(
        ROOT_NAMES,
        functools.partial(probes.in_root_lab, probes.name_network),
        functools.partial(blockers.why_no_mount, "/run/netns"),
        needs=[ROOT_NAMESPACES],
    )


def _try_network(examiner: _Examiner) -> None:
    by_root = os.geteuid() == 0 and examiner.all_ok([ROOT_NAMESPACES])
    enter = probes.root_network if by_root else probes.rootless_network
    needs = [ROOT_NAMESPACES if by_root else NAMESPACES]

    def attempt(
        name: str,
        action: Callable[[], None],
        why: _Why,
        *,
        optional: bool = True,
    ) -> None:
        def act() -> None:
            enter()
            action()

        examiner.attempt(name, act, why, needs=needs, optional=optional)

    attempt(VETH, probes.create_veth, functools.partial(why_no_module, "veth"), optional=False)
    attempt("bridge", probes.create_bridge, functools.partial(why_no_module, "bridge"))
    attempt(NETEM, probes.add_netem, functools.partial(why_no_module, "sch_netem"))
    attempt(WIRE, probes.lead_frames_aside, _why_no_wire)
    attempt("tun", probes.open_tap, _why_no_tun)
    attempt("IPv6", probes.add_ipv6_address, _why_no_ipv6)
    attempt("raw sockets", probes.open_raw_sockets, _why_no_raw_sockets)


def _why_no_wire(error: OSError) -> tuple[str, str]:
    reason = os.strerror(error.errno or errno.EIO)
    why = f"labctl cannot make links bad itself, only build plain ones: {reason}"
    if error.errno == errno.ENOENT:
        # One of several parts is missing, and the kernel does not say which.
        return why, blockers.on_host(blockers.as_root(f"modprobe -a {' '.join(_WIRE_MODULES)}"))
    return why, "labctl up --impairments none LAB"


def _why_no_sys(error: OSError) -> tuple[str, str]:
    why, fix = blockers.why_no_mount("/sys", error)
    return f"{why}; /sys in a node shows the host's interfaces", fix


def _why_no_hosts(error: OSError) -> tuple[str, str]:
    reason = os.strerror(error.errno or errno.EIO)
    # An empty folder is all that is missing: then nothing has to be laid over /etc.
    return (
        f"no overlay on /etc ({reason}); `ip netns exec` does not know the nodes' names, "
        "`labctl exec` does",
        blockers.as_root("mkdir /etc/netns"),
    )


def _why_no_root_mounts(error: OSError) -> tuple[str, str]:
    if error.errno == errno.EPERM:
        return "root of this user namespace may not name networks in /run/netns", (
            "labctl up --rootless LAB"
        )
    return os.strerror(error.errno or errno.EIO), "labctl up --rootless LAB"


def _why_no_tun(error: OSError) -> tuple[str, str]:
    if error.errno in (errno.EACCES, errno.EPERM):
        why = f"/dev/net/tun is closed to this user ({os.strerror(error.errno)})"
        return why, blockers.as_root("chmod 0666 /dev/net/tun")
    if error.errno == errno.ENOENT and container() in _DEVICE_CONTAINERS:
        fix = f"{container()} run --device /dev/net/tun IMAGE"
        return "this container has no /dev/net/tun", fix
    if error.errno == errno.ENOENT and has_misc_device("tun"):
        make = "mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200"
        return "there is no /dev/net/tun", blockers.as_root(f"sh -c '{make}'")
    return why_no_module("tun", error)


def _why_no_ipv6(error: OSError) -> tuple[str, str]:
    if os.path.isdir("/proc/sys/net/ipv6"):
        fix = blockers.as_root("sysctl -w net.ipv6.conf.default.disable_ipv6=0")
        return "IPv6 is switched off for new interfaces", blockers.on_host(fix)
    reason = os.strerror(error.errno or errno.EIO)
    return f"this kernel has no IPv6 ({reason})", "boot it without ipv6.disable=1"


def _why_no_raw_sockets(error: OSError) -> tuple[str, str]:
    if error.errno == errno.EAFNOSUPPORT:
        return "the kernel has no packet sockets", blockers.as_root("modprobe af_packet")
    reason = os.strerror(error.errno or errno.EIO)
    return f"ping, traceroute and tcpdump cannot work in a node: {reason}", ""


def _state_folder() -> Probe:
    try:
        return Probe(STATE, "ok", base_directory())
    except LabError as error:
        return Probe(STATE, "failed", str(error), error.hint)


def _open_files() -> Probe:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Probe(FILES, "ok", "no limit")
    nodes = max(0, soft - _FILES_AT_START) // _FILES_PER_NODE
    detail = f"{soft} allowed, enough for a lab of {nodes} nodes"
    if nodes >= _SMALL_LAB_NODES:
        return Probe(FILES, "ok", detail)
    wanted = _FILES_AT_START + 500 * _FILES_PER_NODE
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return Probe(FILES, "failed", detail, f"ulimit -n {wanted}")
    return Probe(FILES, "failed", detail, blockers.as_root(f"prlimit --pid $$ --nofile={wanted}"))


def _tool(name: str) -> Probe:
    # An ordinary user's path on Debian lacks the folders in which some of them are.
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found:
        return Probe(name, "ok", found)
    package, purpose = _TOOLS[name]
    detail = f"not installed; {purpose}"
    if "debian" in distributions():
        return Probe(name, "missing", detail, blockers.as_root(f"apt-get install {package}"))
    return Probe(name, "missing", detail, f'install the package that Debian calls "{package}"')
