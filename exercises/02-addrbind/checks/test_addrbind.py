"""Checks of addrbind. The contract is in README.md."""

import random
import socket

import pytest

from labctl.testing import (
    Lab,
    Node,
    Program,
    Submission,
    Unmet,
    expect,
    expect_equal,
    unmet,
)

ADDRESS = "10.0.1.1"

MORE_THAN_A_PIPE_HOLDS = b"a line of input\n" * 8192
"""What a program does not read stays in the pipe, and that has 65536 bytes at most."""

REFUSED_HINT = (
    "look at what bind() returned before anything is printed on stdout; errno has the number, "
    "errno.errorcode gives its name in Python, strerrorname_np() in C"
)


def some_port(rng: random.Random) -> int:
    return rng.randrange(1024, 32768)


def held(program: Program) -> str:
    """Return what it says it is bound to, as ``10.0.1.1:8080``, when it has come to its input."""
    hint = "print `bound to ADDRESS:PORT`, then `READY`, and flush both"
    line = program.line(expected='a line "bound to ADDRESS:PORT"', hint=hint)
    expect(
        line.startswith("bound to "),
        expected='a line "bound to ADDRESS:PORT"',
        actual=f"the line {line}",
        hint=hint,
    )
    program.expect_line("READY", hint=hint)
    try:
        # All of it fits only after the program has begun to read: it has done what comes before.
        program.write(MORE_THAN_A_PIPE_HOLDS)
    except Unmet as error:
        unmet(
            "it reads its input as long as there is any",
            error.actual,
            "after READY, read the input to its end; only then close the socket and exit 0",
        )
    return line.removeprefix("bound to ")


def udp_sockets(node: Node, port: int = 0) -> str:
    """Return where the node's UDP sockets are bound, as ``ss -aun`` shows it."""
    return ", ".join(f"{s.local}:{s.local_port}" for s in node.sockets("udp", port)) or "no socket"


def bind_error(node: Node, kind: int, port: int) -> str:
    """Try to take the port; return the text of the error, or nothing."""
    with node.socket(socket.AF_INET, kind) as other:
        try:
            other.bind((ADDRESS, port))
        except OSError as error:
            return str(error.strerror)
    return ""


def expect_refused(program: Program, name: str, hint: str) -> None:
    ended = program.end(expected=f"bind() fails with {name}, and the program ends", hint=hint)
    told = ended.stderr.decode(errors="backslashreplace").splitlines()
    more = f", the last of {len(told)} lines" if len(told) > 1 else ""
    expect(
        len(told) == 1 and told[0].startswith(f"error: bind: {name}"),
        expected=f"one line on stderr: error: bind: {name} (…)",
        actual=f"{told[-1]}{more}" if told else "nothing on stderr",
        hint=REFUSED_HINT,
    )
    expect_equal(ended.stdout, b"", "stdout after a failed bind()", REFUSED_HINT)
    expect_equal(ended.exit_status, 1, "exit status after a failed bind()", REFUSED_HINT)


@pytest.mark.points(1)
def test_it_holds_the_port_until_its_input_ends(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it holds the port until its input ends"""
    port = some_port(rng)
    program = submission.start("server", "addrbind", ADDRESS, str(port), ready=False)
    held(program)
    hint = "close the socket at the end of the input, not before"
    expect(
        lab["server"].sockets("udp", port),
        expected=f"`ss -aun` shows a socket with port {port}",
        actual="it shows none",
        hint=hint,
    )
    program.end_input()
    program.expect_exit(0, hint=hint)


@pytest.mark.needs("test_it_holds_the_port_until_its_input_ends")
@pytest.mark.points(2)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.2.1", "0.0.0.0"])
def test_the_kernel_has_the_address_that_was_asked_for(
    lab: Lab, submission: Submission, rng: random.Random, address: str
) -> None:
    """the kernel has the address that was asked for, and the program prints it"""
    wanted = f"{address}:{some_port(rng)}"
    program = submission.start("server", "addrbind", *wanted.split(":"), ready=False)
    said = held(program)
    hint = "bind to both, the ADDRESS and the PORT of the command line"
    expect_equal(udp_sockets(lab["server"]), wanted, "what `ss -aun` shows", hint)
    expect_equal(said, wanted, "what the program says it is bound to", "getsockname() tells it")


@pytest.mark.needs("test_the_kernel_has_the_address_that_was_asked_for")
@pytest.mark.points(2)
def test_for_port_0_the_kernel_chooses(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """for port 0 the kernel chooses, and the program prints what it chose"""
    server = lab["server"]
    port = rng.randrange(32768, 61000)
    # The only port that is left to choose from.
    server.set("net.ipv4.ip_local_port_range", f"{port} {port}")
    program = submission.start("server", "addrbind", ADDRESS, "0", ready=False)
    said = held(program)
    expect_equal(
        udp_sockets(server),
        f"{ADDRESS}:{port}",
        "what `ss -aun` shows",
        "hand port 0 to bind(): the kernel knows which ports are free, the program does not",
    )
    expect_equal(
        said,
        f"{ADDRESS}:{port}",
        "what the program says it is bound to",
        "the arguments cannot tell: ask getsockname() after bind()",
    )


@pytest.mark.needs("test_it_holds_the_port_until_its_input_ends")
@pytest.mark.points(1)
def test_a_tcp_port_is_taken_and_refuses_connections(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """with tcp the port is taken too, and refuses connections"""
    server, port = lab["server"], some_port(rng)
    program = submission.start("server", "addrbind", ADDRESS, str(port), "tcp", ready=False)
    held(program)
    # A bound TCP socket is not in the kernel's list, so the check tries to take the port itself.
    expect_equal(
        bind_error(server, socket.SOCK_STREAM, port) or "nothing: the port is free",
        "Address already in use",
        "what a second TCP bind() of that port says",
        "the third argument says what socket to make: SOCK_STREAM for tcp",
    )
    expect_equal(
        lab["client1"].connect_error((ADDRESS, port)) or "nothing: the connection is made",
        "ECONNREFUSED",
        "what connect() to the port says",
        "bind only; connections are accepted by the kernel from listen() on",
    )


@pytest.mark.needs("test_the_kernel_has_the_address_that_was_asked_for")
@pytest.mark.points(2)
@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_an_address_of_another_machine_is_refused(
    submission: Submission, rng: random.Random, kind: str
) -> None:
    """an address of another machine is refused with EADDRNOTAVAIL"""
    port = str(some_port(rng))
    client1 = "10.0.1.2"
    program = submission.start("server", "addrbind", client1, port, kind, ready=False)
    expect_refused(
        program, "EADDRNOTAVAIL", "bind to the ADDRESS that was asked for, and to no other instead"
    )


@pytest.mark.needs("test_it_holds_the_port_until_its_input_ends")
@pytest.mark.points(2)
@pytest.mark.parametrize("kind", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("first", "second"), [(ADDRESS, ADDRESS), ("0.0.0.0", ADDRESS), (ADDRESS, "0.0.0.0")]
)
def test_a_port_has_one_owner(
    submission: Submission, rng: random.Random, kind: str, first: str, second: str
) -> None:
    """a port that is taken is refused with EADDRINUSE"""
    port = str(some_port(rng))
    owner = submission.start("server", "addrbind", first, port, kind, ready=False)
    held(owner)
    late = submission.start("server", "addrbind", second, port, kind, ready=False)
    expect_refused(
        late, "EADDRINUSE", "set no option: SO_REUSEADDR and SO_REUSEPORT let two have one port"
    )
