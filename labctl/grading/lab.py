"""The lab of one check: its nodes, what can be done in them, and what was seen on the wire."""

import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from labctl.errors import LabError, machine_error
from labctl.faults import Faults, faults
from labctl.grading.endpoints import WITHIN_S, Address, Listener, Tcp, Udp, connect_error
from labctl.grading.program import Ended, Pipes, Program
from labctl.grading.streams import Collector
from labctl.grading.unmet import Unmet
from labctl.kernel.confine import Recipe
from labctl.kernel.control import Control, RequestRefused
from labctl.kernel.diag import DiagSocket, SocketEntry
from labctl.lab import running_lab
from labctl.observe.capture import Capture
from labctl.observe.sighting import Sighting
from labctl.programs.supervise import program_environment
from labctl.programs.watchdog import Watchdog
from labctl.running import RunningLab
from labctl.topology.model import Topology

_OUTPUT_BYTES = 1 << 20
"""Kept of a command of the check's own."""

_SYSCTLS = (
    # Every refusal is answered; the default lets six of a hundred through (icmp(7)).
    ("net.ipv4.icmp_ratelimit", "0"),
    # Nor does any type count for the limit that all namespaces share on kernels before 6.13.
    ("net.ipv4.icmp_ratemask", "0"),
    # One that every kernel has and that anybody may choose, whatever the host prefers.
    ("net.ipv4.tcp_congestion_control", "reno"),
)

_EPHEMERAL = range(32768, 61000)
"""The ports that Linux gives by itself (ip(7), ip_local_port_range)."""


class Node:
    """One node of the lab."""

    def __init__(self, lab: "Lab", name: str, netns: str, addresses: Sequence[str]) -> None:
        self._lab = lab
        self.name = name
        self.netns = netns
        self.addresses = tuple(addresses)
        """Without prefix lengths, in the order of the lab file."""
        self._diag: DiagSocket | None = None

    @property
    def address(self) -> str:
        """Return its first address."""
        if not self.addresses:
            raise machine_error(f"the node {self.name} has no address", where="check")
        return self.addresses[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a socket that lives in the node, as socket(2) would make it there."""
        return self._lab.keep(self._lab.control.open_socket(self.netns, family, kind, protocol))

    def udp(self, to: Address | None = None, *, bind: Address | None = None) -> Udp:
        """Return a UDP socket, connected to ``to`` if that is given."""
        sock = self.socket(_family(to or bind), socket.SOCK_DGRAM)
        if bind:
            sock.bind(bind)
        if to:
            sock.connect(to)
        return Udp(sock)

    def connect(
        self,
        to: Address,
        *,
        receive_buffer: int = 0,
        expected: str = "",
        hint: str = "",
        within_s: float = WITHIN_S,
    ) -> Tcp:
        """Return a TCP connection. Raises ``Unmet`` where it is refused or not answered.

        ``receive_buffer`` is SO_RCVBUF in bytes, for a peer that is to be a slow reader.
        """
        sock = self.socket(_family(to), socket.SOCK_STREAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        error = connect_error(sock, to, within_s)
        if error:
            actual = "refused (RST): nobody listens there" if error == "ECONNREFUSED" else error
            raise Unmet(expected or f"{to[0]}:{to[1]} accepts connections", actual, hint)
        return Tcp(sock)

    def connect_error(self, to: Address, *, within_s: float = WITHIN_S) -> str:
        """Try a TCP connection; return the error's name, as ``ECONNREFUSED``, or ``""``."""
        sock = self.socket(_family(to), socket.SOCK_STREAM)
        error = connect_error(sock, to, within_s)
        sock.close()
        return error

    def listen(self, port: int, *, address: str = "", backlog: int = 16) -> Listener:
        """Return a listening TCP socket of the check's own."""
        to = (address or "0.0.0.0", port)
        sock = self.socket(_family(to), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(to)
        sock.listen(backlog)
        return Listener(sock, self._lab.keep)

    def sockets(self, protocol: str = "tcp", port: int = 0) -> list[SocketEntry]:
        """Return the node's sockets, as ``ss`` shows them; with a port those that have it."""
        if self._diag is None:
            kind = (DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL)
            self._diag = DiagSocket(self.socket(*kind))
        return [
            entry
            for entry in self._diag.sockets(protocol)
            if not port or port in (entry.local_port, entry.peer_port)
        ]

    def run(self, *argv: str, feed: bytes = b"", within_s: float = 2 * WITHIN_S) -> Ended:
        """Run a command of the machine in the node, to its end; it is not sandboxed.

        Raises ``LabError`` where there is none of that name, or it does not end.
        """
        program = self.start(*argv)
        try:
            if feed:
                program.write(feed, within_s=within_s)
            program.end_input()
            return program.end(within_s=within_s)
        except Unmet as error:
            program.kill()
            raise machine_error(f"`{' '.join(argv)}`: {error.actual}", where="check") from None

    def start(self, *argv: str) -> Program:
        """Start a command of the machine in the node; it is not sandboxed."""
        if not shutil.which(argv[0]):
            raise machine_error(f'the check needs "{argv[0]}", which is not installed')
        return self._lab.start(
            self, " ".join(argv), argv, program_environment(self._lab.running.state), cwd="/"
        )

    def set(self, sysctl: str, value: str) -> None:
        """Set a sysctl of the node's network, such as ``net.ipv4.ip_forward``."""
        path = f"/proc/sys/{sysctl.replace('.', '/')}"
        ended = self.run("sh", "-c", 'printf %s "$2" >"$1"', "set", path, value)
        if ended.exit_status:
            raise machine_error(f"{sysctl}={value}: {ended.stderr.decode().strip()}", where="check")


class Lab:
    """A lab that is up for one check and ends with it."""

    def __init__(self, running: RunningLab, topology: Topology, seed: int) -> None:
        self.running = running
        self.topology = topology
        self.seed = seed
        """Of the random choices of this check: with the same one they are the same."""
        self.control = Control(running.state)
        self.collector = Collector()
        self.watchdog = Watchdog()
        self.scratch = tempfile.mkdtemp(prefix="labctl-check-")
        self.programs: list[Program] = []
        """All that were started, those of the submission and the check's own commands."""
        self._sockets: list[socket.socket] = []
        self._faults: list[Faults] = []
        self._nodes = {
            node.name: Node(
                self,
                node.name,
                node.netns,
                [a.split("/")[0] for end in topology.endpoints(node.name) for a in end.addresses],
            )
            for node in topology.nodes
        }
        self._open = ExitStack()
        self.capture = self._open.enter_context(
            Capture(running, {n.name: n.netns for n in topology.nodes if n.kind != "bridge"})
        )

    def __getitem__(self, node: str) -> Node:
        """Return a node. Raises ``LabError`` where there is none of that name."""
        if node not in self._nodes:
            raise machine_error(
                f'the lab has no node "{node}"',
                where="check",
                hint=f"its nodes are: {' '.join(self._nodes)}",
            )
        return self._nodes[node]

    @property
    def nodes(self) -> list[Node]:
        """Return all nodes, in the order of the lab file."""
        return list(self._nodes.values())

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close the socket with the lab, if nobody did before."""
        self._sockets.append(sock)
        return sock

    @contextmanager
    def faults(self, rules: Mapping[str, object]) -> Iterator[Faults]:
        """Have exact faults for the length of a ``with`` block (README, bad links: rules).

        At its end they must have happened: otherwise the check is broken, whatever it found, or,
        where the sender's own interface shows that too few packets were sent for the fault to
        happen, the program has failed. Raises ``LabError`` or ``Unmet`` accordingly.
        """
        written = {"seed": self.seed, **rules}
        since_ns = time.time_ns()  # rules count from now on, and so does their proof
        with faults(self.running, written, where="check") as armed:
            self._faults.append(armed)
            try:
                yield armed
            except Unmet as error:
                self._prove(armed, since_ns, error)
                raise
            self._prove(armed, since_ns, None)

    def _prove(self, armed: Faults, since_ns: int, found: Unmet | None) -> None:
        try:
            armed.prove()
        except LabError as error:
            sent_too_few = self._sent_too_few(armed, since_ns)
            if sent_too_few is None:
                raise error from found
            if found is None:
                raise sent_too_few from None

    def _sent_too_few(self, armed: Faults, since_ns: int) -> Unmet | None:
        """Return whose fault it is where the sender itself did not send what the fault needs."""
        for became in armed.rules():
            if became.completed:
                continue
            rule = armed.asked[became.direction][became.number - 1]
            node, _, interface = became.direction.partition("->")[0].partition(":")
            sent = sum(
                sighting.is_outgoing
                and (sighting.node, sighting.interface) == (node, interface)
                and sighting.time_ns >= since_ns
                for sighting in self.capture.matching(rule.match)
            )
            if sent >= rule.least_packets:
                return None
            what = f'packets that match "{rule.match}"' if rule.match else "packets"
            return Unmet(
                f"{node} sends at least {rule.least_packets} {what}", f"it has sent {sent}"
            )
        return None

    def start(
        self,
        node: Node,
        title: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: str,
        recipe: Recipe | None = None,
        most_output: int = _OUTPUT_BYTES,
        is_submitted: bool = False,
        most_resident: int = 0,
        most_processes: int = 0,
    ) -> Program:
        """Start a command in a node with pipes of its own; ``argv`` is executed as it is."""
        ends = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (stdin_read, stdin_write), (out_read, out_write), (err_read, err_write) = ends
        name = f"p{len(self.programs) + 1}"
        try:
            status = self.control.start(
                name,
                node.name,
                node.netns,
                argv,
                environment=environment,
                cwd=cwd,
                stdin_fd=stdin_read,
                stdout_fd=out_write,
                stderr_fd=err_write,
                recipe=recipe,
            )
        except RequestRefused as error:
            for fd in (stdin_write, out_read, err_read):
                os.close(fd)
            raise Unmet(f"{title} can be started", error.text) from None
        finally:
            for fd in (stdin_read, out_write, err_write):
                os.close(fd)
        os.set_blocking(stdin_write, False)
        stdout = self.collector.collect(out_read, most_output)
        stderr = self.collector.collect(err_read, most_output)
        watch = None
        if most_resident:
            watch = self.watchdog.watch(
                holder_pid=self.running.holder.pid,
                pid_in_lab=status.pid,
                is_sandboxed=recipe is not None,
                most_resident=most_resident,
                most_output=most_output,
                most_processes=most_processes,
                output=lambda: stdout.total + stderr.total,
            )
        program = Program(
            title,
            node.name,
            self.control,
            self.collector,
            status,
            Pipes(stdin_write, stdout, stderr),
            holder_pid=self.running.holder.pid,
            is_sandboxed=recipe is not None,
            is_submitted=is_submitted,
            watch=watch,
        )
        self.programs.append(program)
        return program

    def sightings(self) -> list[Sighting]:
        """Return the frames that the nodes have sent and received so far, in order of time."""
        return self.capture.sightings()

    def packets(self, match: str, *, sent_by: str = "", received_by: str = "") -> list[Sighting]:
        """Return the frames so far that a pcap filter matches, at one node and in one direction.

        Without a node all sightings are returned: each frame once where it was sent and once
        where it arrived.
        """
        return [
            sighting
            for sighting in self.capture.matching(match)
            if (not sent_by or (sighting.node == sent_by and sighting.is_outgoing))
            and (not received_by or (sighting.node == received_by and not sighting.is_outgoing))
        ]

    def drawing(self) -> str:
        """Return the ladder of what was on the wire; empty where nothing was."""
        # Imported only for a check that did not pass.
        from labctl.observe.ladder import ladder

        fates = []
        for armed in self._faults:
            with suppress(LabError):
                fates += armed.fates()
        nodes = [node.name for node in self.nodes]
        links = [
            ((link.left.node, link.left.interface), (link.right.node, link.right.interface))
            for link in self.topology.links
        ]
        return ladder(self.sightings(), nodes, fates, links=links, missed=self.capture.missed())

    def close(self) -> None:
        """Let go of everything but the lab itself."""
        for program in self.programs:
            program.close()
        for sock in self._sockets:
            sock.close()
        self.watchdog.close()
        self._open.close()
        self.collector.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


@contextmanager
def checked_lab(topology: Topology, *, is_rootless: bool, seed: int) -> Iterator[Lab]:
    """Have a lab up for one check; ``topology`` comes from ``as_checked``."""
    with running_lab(topology, is_rootless=is_rootless, impairments="wire") as running:
        lab = Lab(running, topology, seed)
        try:
            yield lab
        finally:
            lab.close()


def as_checked(topology: Topology) -> Topology:
    """Return a copy under a name that nobody else has, whose nodes behave alike on every machine.

    No two of them choose the same ephemeral port, so that a port says whose packet it is.
    """
    name = f"check-{uuid.uuid4().hex[:12]}"
    share = len(_EPHEMERAL) // len(topology.nodes) // 2 * 2  # from an even port to an odd one
    nodes = []
    for node, first in zip(topology.nodes, _EPHEMERAL[::share], strict=False):
        node = node._replace(netns=f"{name}-{node.name}")
        if node.kind != "bridge":
            ports = ("net.ipv4.ip_local_port_range", f"{first} {first + share - 1}")
            node = node._replace(sysctls=(*_SYSCTLS, ports, *node.sysctls))
        nodes.append(node)
    return topology._replace(name=name, nodes=tuple(nodes))


def _family(address: Address | None) -> int:
    return socket.AF_INET6 if address and ":" in address[0] else socket.AF_INET
