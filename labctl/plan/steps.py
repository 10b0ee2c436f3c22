"""The closed set of steps that build a lab; each is a value that can say what it does.

``command()`` is what a person would type. ``labctl.kernel.apply`` carries the same step out over
netlink; a test runs both and compares what the kernel then shows.
"""

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.topology.rules import Rule


class CreateNamespace(NamedTuple):
    """Create a named network namespace with its loopback interface up."""

    node: str
    netns: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"ip netns add {self.netns} && ip -n {self.netns} link set lo up"


class CreateHiddenNamespace(NamedTuple):
    """Create the namespace in which the far ends of wired links lie.

    labctl gives it no name: ``ip netns`` does not list it, and it ends with the lab's holder.
    """

    netns: str

    def command(self) -> str:
        """Return the equivalent shell command, which cannot do without a name."""
        return f"ip netns add {self.netns}"


class SetSysctl(NamedTuple):
    """Set a network sysctl inside a namespace; ``key`` is dotted, as sysctl(8) prints it."""

    netns: str
    key: str
    value: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"ip netns exec {self.netns} sysctl -qw {quote(f'{self.key}={self.value}')}"


class CreateBridge(NamedTuple):
    """Create a learning bridge without spanning tree, up at once."""

    netns: str
    interface: str
    ifindex: int

    def command(self) -> str:
        """Return the equivalent shell command."""
        return (
            f"ip -n {self.netns} link add {self.interface} up type bridge forward_delay 0 "
            "mcast_snooping 0"
        )


class LinkEnd(NamedTuple):
    """Where one end of a veth pair comes to lie; ``ifindex`` is its interface number there."""

    netns: str
    interface: str
    ifindex: int
    mac: str = ""
    mtu: int = 0


class CreateLink(NamedTuple):
    """Create both ends of a veth pair in their namespaces; never create and then move."""

    near: LinkEnd
    """The end in whose namespace the pair is asked for."""
    peer: LinkEnd

    def command(self) -> str:
        """Return the equivalent shell command."""
        return (
            f"ip -n {self.near.netns} link add {self._end(self.near)} type veth "
            f"peer name {self._end(self.peer)} netns {self.peer.netns}"
        )

    def _end(self, end: LinkEnd) -> str:
        words = [end.interface]
        if end.mtu:
            words += ["mtu", str(end.mtu)]
        if end.mac:
            words += ["address", end.mac]
        return " ".join(words)


class AttachToBridge(NamedTuple):
    """Make an interface a port of a bridge in the same namespace."""

    netns: str
    interface: str
    ifindex: int
    bridge: str
    bridge_ifindex: int

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"ip -n {self.netns} link set {self.interface} master {self.bridge}"


class AssignAddress(NamedTuple):
    """Give an interface an address with its prefix length, as ``10.0.1.2/24``."""

    netns: str
    interface: str
    ifindex: int
    address: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        # Duplicate address detection would keep an IPv6 address unusable for two seconds; a
        # lab's addresses have been checked already.
        extra = "nodad" if ":" in self.address else "brd +"
        return f"ip -n {self.netns} address add {self.address} {extra} dev {self.interface}"


class BringUp(NamedTuple):
    """Set an interface up."""

    netns: str
    interface: str
    ifindex: int

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"ip -n {self.netns} link set {self.interface} up"


class BringUpSilent(NamedTuple):
    """Set an interface up that speaks no protocol of its own: it only passes frames on."""

    netns: str
    interface: str
    ifindex: int

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"ip -n {self.netns} link set {self.interface} arp off up"


class PassFrames(NamedTuple):
    """Send every frame that arrives at one interface out by another."""

    netns: str
    interface: str
    ifindex: int
    to: str
    to_ifindex: int

    def command(self) -> str:
        """Return the equivalent shell command."""
        return (
            f"tc -n {self.netns} qdisc add dev {self.interface} clsact && "
            f"tc -n {self.netns} filter replace dev {self.interface} ingress protocol all pref 1 "
            f"handle 800::1 u32 match u32 0 0 action mirred egress redirect dev {self.to}"
        )


class Impair(NamedTuple):
    """Make what an interface sends bad with netem; ``words`` are those of tc-netem(8)."""

    netns: str
    interface: str
    ifindex: int
    words: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        return f"tc -n {self.netns} qdisc add dev {self.interface} root netem {self.words}"


class AddRoute(NamedTuple):
    """Add a static route; ``to`` is ``default`` or a prefix, ``via`` the next hop."""

    netns: str
    to: str
    via: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        family = "-6 " if ":" in self.via else ""
        return f"ip -n {self.netns} {family}route add {self.to} via {self.via}"


class WriteHosts(NamedTuple):
    """Write the hosts file of a namespace, which ``ip netns exec`` puts over /etc/hosts."""

    netns: str
    text: str

    def command(self) -> str:
        """Return the equivalent shell command."""
        folder = f"/etc/netns/{self.netns}"
        return f"mkdir -p {folder} && cat >{folder}/hosts <<'END'\n{self.text}END"


class ImpairOnWire(NamedTuple):
    """Lead what one end of a wired link sends through the lab's emulator, which makes it bad."""

    link: int
    """The number of the link in the lab file, from 0."""
    is_from_left: bool
    """Which of its ends sends."""
    direction: str
    """As ``client:eth0->server:eth0``."""
    words: str
    """Those of tc-netem(8); empty where there are only rules."""
    rules: "tuple[Rule, ...]"
    seed: int | None
    """Of the rules; ``None`` where their choices need not repeat."""

    def command(self) -> str:
        """Return a comment: no program but labctl has such a command."""
        lines = [f"# labctl's emulator, {self.direction}: {self.words or 'rules alone'}"]
        for number, rule in enumerate(self.rules, start=1):
            lines.append(f"#   rule {number}: {rule}")
        return "\n".join(lines)


class StartProgram(NamedTuple):
    """Start a long-running program in a node, and wait until it is ready."""

    node: str
    netns: str
    name: str
    argv: tuple[str, ...]
    ready: str
    ready_within_s: float

    def command(self) -> str:
        """Return the equivalent shell command."""
        words = " ".join(quote(word) for word in self.argv)
        waiting = f"  # ready: {self.ready}" if self.ready else ""
        return f"ip netns exec {self.netns} {words} &{waiting}"


KernelStep = (
    CreateNamespace
    | CreateHiddenNamespace
    | SetSysctl
    | CreateBridge
    | CreateLink
    | AttachToBridge
    | AssignAddress
    | Impair
    | BringUp
    | BringUpSilent
    | PassFrames
    | AddRoute
    | WriteHosts
)
"""What ``labctl.kernel.apply`` carries out."""

Step = KernelStep | ImpairOnWire | StartProgram

_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def quote(word: str) -> str:
    """Return the word as a POSIX shell would need it.

    The standard library's ``shlex`` does the same and costs a millisecond to import.
    """
    if _PLAIN_WORD.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
