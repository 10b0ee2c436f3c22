"""Checks of udp-bind. The contract is in README.md."""

import random
from pathlib import Path

import pytest
import time1

from labctl.testing import (
    WITHIN_S,
    Lab,
    Node,
    Program,
    Submission,
    Udp,
    expect,
    expect_equal,
    until,
)

CAP_NET_BIND_SERVICE = 10

REFUSED_HINT = (
    "look at what bind() returned: print `error: bind: NAME (TEXT)` on stderr, nothing on stdout, "
    "and exit 1; errno.errorcode gives the name in Python, strerrorname_np() in C"
)
BIND_HINT = "bind() takes the ADDRESS of the command line, as it is"


def some_port(rng: random.Random) -> int:
    return rng.randrange(1024, 32768)


def expect_served(
    node: Node, server: tuple[str, int], seq: int, hint: str = BIND_HINT, client: Udp | None = None
) -> None:
    """Ask the server from a node; a client that has asked already is only to be answered."""
    to = f"{server[0]}:{server[1]}"
    who = f"{node.name}, which asks {to}"
    if client is None:
        # Not connected: an answer from elsewhere arrives too, and is told apart.
        client = node.udp()
        client.send(time1.request(seq), to=server)
    data, sender = client.receive_from(expected=f"an answer to {who}", hint=hint)
    expect_equal(
        f"{sender[0]}:{sender[1]}",
        to,
        f"sender of the answer to {who}",
        "send the answer with the socket that received the request, which is bound to that address",
    )
    expect(
        time1.is_answer(data, seq),
        expected=f"an answer of TIME/1 to {who}",
        actual=f"{len(data)} bytes: {data[:24].hex()}",
        hint="README.md has every byte of a request and of an answer",
    )


def expect_refused(lab: Lab, node: str, server: tuple[str, int], hint: str) -> None:
    """Ask from a node where no socket is to get it, so that the kernel refuses by ICMP."""
    to = f"{server[0]}:{server[1]}"
    client = lab[node].udp()
    client.socket.bind(("0.0.0.0", 0))
    own_port = client.address[1]
    # Connected: only then the kernel tells of the refusal.
    client.socket.connect(server)
    client.send(time1.request(1))
    error = client.error()
    if not error:
        answers = lab.packets(f"udp and dst port {own_port}", received_by=node)
        error = "an answer came" if answers else "neither an answer nor a refusal came"
    expect_equal(error, "ECONNREFUSED", f"what {node} gets, which asks {to}", hint)


def expect_no_start(program: Program, name: str, hint: str) -> None:
    ended = program.end(expected=f"bind() fails with {name}, and the program ends", hint=hint)
    told = ended.stderr.decode(errors="backslashreplace").splitlines()
    is_another_refusal = told[0].startswith("error: ") and "bind" not in told[0] if told else False
    more = f", the last of {len(told)} lines" if len(told) > 1 else ""
    expect(
        len(told) == 1 and told[0].startswith(f"error: bind: {name}"),
        expected=f"one line on stderr: error: bind: {name} (…)",
        actual=f"{told[-1]}{more}" if told else "nothing on stderr",
        hint=hint if is_another_refusal else REFUSED_HINT,
    )
    expect_equal(ended.stdout, b"", "stdout after a failed bind()", REFUSED_HINT)
    expect_equal(ended.exit_status, 1, "exit status after a failed bind()", REFUSED_HINT)


def may_take_low_ports(program: Program) -> bool:
    """Whether it has the capability; that depends on who runs the checks, and in what sandbox."""
    status = Path(f"/proc/{program.pids()[0]}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(int(mask, 16) >> CAP_NET_BIND_SERVICE & 1)


@pytest.mark.points(2)
def test_it_serves_the_address_that_it_is_given(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it serves the address that it is given"""
    port = some_port(rng)
    submission.start("server", "time_server", "10.0.1.1", str(port))
    expect_served(lab["client1"], ("10.0.1.1", port), rng.randrange(2**32))


@pytest.mark.needs("test_it_serves_the_address_that_it_is_given")
@pytest.mark.points(2)
def test_other_addresses_are_refused(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """at other addresses of the node the kernel refuses, and the program hears nothing"""
    port = some_port(rng)
    submission.start("server", "time_server", "10.0.1.1", str(port))
    expect_refused(lab, "client2", ("10.0.2.1", port), BIND_HINT)
    unreachable = "icmp[0] == 3 and icmp[1] == 3 and src host 10.0.2.1"
    expect(
        until(lambda: lab.packets(unreachable, received_by="client2"), WITHIN_S),
        expected="an ICMP port unreachable from 10.0.2.1",
        actual="there is none on the wire",
        hint=BIND_HINT,
    )
    expect_equal(
        ", ".join(f"{s.local}:{s.local_port}" for s in lab["server"].sockets("udp", port)),
        f"10.0.1.1:{port}",
        "what `ss -aun` shows",
        BIND_HINT,
    )


@pytest.mark.needs("test_other_addresses_are_refused")
@pytest.mark.points(1)
def test_its_address_is_reached_by_routing(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """its address is reached from the other network too"""
    port = some_port(rng)
    submission.start("server", "time_server", "10.0.1.1", str(port))
    expect_served(
        lab["client2"],
        ("10.0.1.1", port),
        rng.randrange(2**32),
        "bind() chooses an address, not an interface: set no option such as SO_BINDTODEVICE, and "
        "answer whoever the kernel lets through",
    )


@pytest.mark.needs("test_other_addresses_are_refused")
@pytest.mark.points(1)
def test_localhost_is_for_this_node_alone(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """at 127.0.0.1 it serves its own node alone"""
    port = some_port(rng)
    submission.start("server", "time_server", "127.0.0.1", str(port))
    expect_served(lab["server"], ("127.0.0.1", port), rng.randrange(2**32))
    hint = "127.0.0.1 is an address like any other: bind to it, and to no other instead"
    expect_refused(lab, "client1", ("10.0.1.1", port), hint)
    expect_refused(lab, "server", ("10.0.1.1", port), hint)


@pytest.mark.needs("test_other_addresses_are_refused")
@pytest.mark.points(1)
def test_two_servers_share_a_port_at_two_addresses(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """two servers have one port at two addresses, and each answers for its own"""
    port = some_port(rng)
    first, second = ("10.0.1.1", port), ("10.0.2.1", port)
    hint = (
        "what is taken at another address does not matter: bind to yours, and look at nothing else"
    )
    programs = []
    # One after the other: who looks first whether the port is free finds the other one there.
    for address, _ in (first, second):
        program = submission.start("server", "time_server", address, str(port), ready=False)
        program.lines_until("READY", hint=hint)
        programs.append(program)
    # While the first is stopped, whatever answers is the second.
    programs[0].freeze()
    client1 = lab["client1"].udp()
    client1.send(time1.request(1), to=first)
    expect_served(lab["client2"], second, 2, hint)
    programs[0].thaw()
    expect_served(lab["client1"], first, 1, hint, client=client1)


@pytest.mark.needs("test_other_addresses_are_refused")
@pytest.mark.points(1)
def test_an_address_of_nobody_is_refused(submission: Submission, rng: random.Random) -> None:
    """an address that the node does not have is refused with EADDRNOTAVAIL"""
    port = str(some_port(rng))
    program = submission.start("server", "time_server", "10.0.3.1", port, ready=False)
    expect_no_start(program, "EADDRNOTAVAIL", "bind to no other address instead")


@pytest.mark.needs("test_it_serves_the_address_that_it_is_given")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("first", "second"),
    [("10.0.1.1", "10.0.1.1"), ("0.0.0.0", "10.0.1.1"), ("10.0.1.1", "0.0.0.0")],
)
def test_an_address_that_is_taken_is_refused(
    lab: Lab, submission: Submission, rng: random.Random, first: str, second: str
) -> None:
    """an address and port that another has are refused with EADDRINUSE, and the other goes on"""
    port = some_port(rng)
    submission.start("server", "time_server", first, str(port))
    late = submission.start("server", "time_server", second, str(port), ready=False)
    expect_no_start(
        late,
        "EADDRINUSE",
        "take no other port instead, and set no option: SO_REUSEADDR and SO_REUSEPORT let two "
        "sockets have one port",
    )
    expect_served(lab["client1"], ("10.0.1.1", port), rng.randrange(2**32))


@pytest.mark.needs("test_it_serves_the_address_that_it_is_given")
@pytest.mark.points(1)
def test_a_low_port_needs_the_kernel_s_permission(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a port below 1024 is served if the kernel permits it, and refused with EACCES if not"""
    server, port = lab["server"], rng.randrange(1, 1024)
    hint = "leave it to the kernel: call bind() with any port, and report what it says"
    high = submission.start("server", "time_server", "10.0.1.1", "1024")
    if not may_take_low_ports(high):
        low = submission.start("server", "time_server", "10.0.1.1", str(port), ready=False)
        expect_no_start(low, "EACCES", hint)
    server.set("net.ipv4.ip_unprivileged_port_start", "0")
    low = submission.start("server", "time_server", "10.0.1.1", str(port), ready=False)
    low.lines_until("READY", hint=hint)
    expect_served(lab["client1"], ("10.0.1.1", port), rng.randrange(2**32), hint)
