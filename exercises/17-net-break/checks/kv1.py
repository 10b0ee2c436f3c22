"""KV/1 between the check and a program, the network that breaks, and what is on the wire then."""

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Tcp,
    Unmet,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8085
STORE = ("10.0.1.1", PORT)
STORE_FROM_CLIENT2 = ("10.0.2.1", PORT)
BEHIND_THE_ROUTER = ("10.0.2.2", PORT)
"""Where a client on client1 finds the check's server, on client2."""

WITH_DATA = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0"
PROBE = f"tcp src port {PORT} and tcp[tcpflags] == tcp-ack and {WITH_DATA.replace('!=', '==')}"
"""A segment of the server's without data or flags: on an idle connection a keepalive probe."""


def cut(lab: Lab) -> None:
    """Have the router forward nothing; it does not say so to anybody."""
    lab["server"].set("net.ipv4.ip_forward", "0")


def mend(lab: Lab) -> None:
    lab["server"].set("net.ipv4.ip_forward", "1")


def expect_command(server: Tcp, wanted: bytes, hint: str) -> None:
    """Receive a request of the program and compare it with the right one."""
    text = wanted.partition(b"\n")[0].decode()
    got = server.receive_exactly(len(wanted), expected=f'the request "{text}"', hint=hint)
    expect_equal(got, wanted, f'the request "{text}"', hint)


def type_in(client: Program, command: str) -> None:
    """Feed the program a line. Raises ``Unmet`` where it does not read any more."""
    try:
        client.write(f"{command}\n".encode())
    except Unmet as error:
        unmet(
            f"the program reads the command `{command}`",
            error.actual,
            "it ends at the end of its input, or when something fails; not before",
        )


def ask(client: Tcp, request: bytes, wanted: bytes, hint: str) -> None:
    """Send a request to the program and compare its answer with the right one."""
    client.send(request, hint=hint)
    expect_answer(client, request, wanted, hint)


def expect_answer(client: Tcp, request: bytes, wanted: bytes, hint: str) -> None:
    text = request.partition(b"\n")[0].decode()
    got = client.receive_exactly(len(wanted), expected=f'an answer to "{text}"', hint=hint)
    expect_equal(got, wanted, f'the answer to "{text}"', hint)


def let_it_be_acknowledged(client: Tcp) -> None:
    """Wait until the other end's kernel has what was sent."""
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet("the server's kernel acknowledges the request", "it does not", "listen()")


def copies_sent(lab: Lab, by: str, port: int) -> int:
    """Return how many segments with data a node has sent from that port or to it."""
    return len(lab.packets(f"tcp port {port} and {WITH_DATA}", sent_by=by))


def ask_once(lab: Lab) -> None:
    """Have client1's kernel send nothing again to the server, which would acknowledge it again."""
    lab["client1"].set("net.ipv4.tcp_early_retrans", "0")
    words = ("ip", "route", "add", STORE[0], "dev", "veth_c1", "rto_min", "60s")
    ended = lab["client1"].run(*words)
    if ended.exit_status:
        raise machine_error(f"{' '.join(words)}: {ended.stderr.decode()}", where="check")


def probes(lab: Lab, port: int, *, received_by: str = "", sent_by: str = "") -> int:
    """Return how many keepalive probes the server has sent to that port."""
    match = f"{PROBE} and dst port {port}"
    return len(lab.packets(match, sent_by=sent_by, received_by=received_by))


def has_dropped(lab: Lab, port: int) -> bool:
    """Whether no program in the server's node has a connection to that port any more."""
    return not any(s.peer_port == port and s.inode for s in lab["server"].sockets("tcp", PORT))
