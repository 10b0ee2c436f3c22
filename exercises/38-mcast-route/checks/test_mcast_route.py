"""Checks of mcast-route. The contract is in README.md."""

import re
import socket

import mroute
import pytest
from mroute import ALLOW, BLOCK, GROUP, OTHER, PORT, SOURCES, Record, Router

from labctl.testing import Lab, Program, Submission, Udp, expect

ONE, TWO = SOURCES["source1"], SOURCES["source2"]
SPECIFIC = "IP_ADD_SOURCE_MEMBERSHIP: group, own address on the interface, source"


def start(lab: Lab, submission: Submission) -> Program:
    return submission.start("receiver", "source_listener", lab["receiver"].address, str(PORT))


def tell(program: Program, command: str, hint: str = SPECIFIC) -> None:
    said = program.ask(command, hint=hint)
    expect(said == "ok", expected=f'"ok" for "{command}"', actual=f'"{said}"', hint=hint)


def expect_heard(program: Program, text: str, sender: Udp, hint: str, group: str = GROUP) -> None:
    address, port = sender.address
    wanted = f"from={address}:{port} to={group} ttl=4 {text}"
    said = program.line(expected=wanted, hint=hint)
    expect(said == wanted, expected=wanted, actual=said, hint=hint)


@pytest.mark.points(3)
def test_one_source_is_heard_across_the_router(lab: Lab, submission: Submission) -> None:
    """one source is heard across the router"""
    router = Router(lab)
    program = start(lab, submission)
    tell(program, f"join {GROUP} {ONE}")
    # What is asked for beyond that is the next check's.
    router.follow(*router.wants("source1", SPECIFIC))
    source1 = mroute.source(lab, "source1")
    source1.send(b"hello", to=(GROUP, PORT))
    hint = "bind to 0.0.0.0; to= and ttl= as in multicast, after the router has taken 1 off the TTL"
    expect_heard(program, "hello", source1, hint)


@pytest.mark.needs("test_one_source_is_heard_across_the_router")
@pytest.mark.points(2)
def test_the_report_names_the_source(lab: Lab, submission: Submission) -> None:
    """the router is told which source is wanted, and which is not any more"""
    router = Router(lab)
    program = start(lab, submission)
    for command, kind, source, what in (
        ("join", ALLOW, ONE, "new source"),
        ("join", ALLOW, TWO, "new source"),
        ("leave", BLOCK, ONE, "old source not wanted any more:"),
    ):
        tell(program, f"{command} {GROUP} {source}")
        router.expect_report(Record(kind, GROUP, (source,)), f"{what} {source}", SPECIFIC)
    router.follow("source2", hint="only the source that is still wanted")


@pytest.mark.needs("test_one_source_is_heard_across_the_router")
@pytest.mark.points(2)
def test_the_other_source_is_not_heard(lab: Lab, submission: Submission) -> None:
    """the other source is not heard, though another program of the host wants it"""
    router = Router(lab)
    mroute.member_for_all(lab)
    program = start(lab, submission)
    tell(program, f"join {GROUP} {ONE}")
    router.follow("source1", "source2")
    source1, source2 = mroute.source(lab, "source1"), mroute.source(lab, "source2")
    source2.send(b"of source2", to=(GROUP, PORT))
    mroute.expect_forwarded(lab, "source2", 1)
    source1.send(b"for this host alone", to=(lab["receiver"].address, PORT))
    mroute.expect_forwarded(lab, "source1", 1)  # it waits for ARP, and a group does not
    neighbour = lab["router"].udp()
    neighbour.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    neighbour.send(b"for every host", to=("10.0.3.255", PORT))
    mroute.expect_arrived(lab, "udp and dst host 10.0.3.255", 1)
    source1.send(b"of source1", to=(GROUP, PORT))
    hint = (
        "the host gets both, since the other program wants both; the filter of your socket lets one "
        "pass; and what is sent to no group is not printed"
    )
    expect_heard(program, "of source1", source1, hint)
    # With its last source the program's membership ends; the other's goes on.
    tell(program, f"leave {GROUP} {ONE}")
    tell(program, f"join {OTHER} {ONE}")
    router.follow("source1", group=OTHER)
    source1.send(b"not heard", to=(GROUP, PORT))
    mroute.expect_forwarded(lab, "source1", 3)
    source1.send(b"of the other group", to=(OTHER, PORT))
    hint = "IP_MULTICAST_ALL: a socket that has not joined a group gets what its host has joined"
    expect_heard(program, "of the other group", source1, hint, OTHER)


@pytest.mark.needs("test_one_source_is_heard_across_the_router")
@pytest.mark.points(1)
def test_two_sources_then_one(lab: Lab, submission: Submission) -> None:
    """two sources are heard until one of them is left"""
    router = Router(lab)
    mroute.member_for_all(lab)
    program = start(lab, submission)
    router.follow("source1", "source2")
    source1, source2 = mroute.source(lab, "source1"), mroute.source(lab, "source2")
    hint = "each source is a call of its own, on the same socket; leaving one keeps the other"
    tell(program, f"join {GROUP} {ONE}")
    tell(program, f"join {GROUP} {TWO}")
    for text, who in (("a", source1), ("b", source2)):
        who.send(text.encode(), to=(GROUP, PORT))
        expect_heard(program, text, who, hint)
    tell(program, f"leave {GROUP} {ONE}")
    source1.send(b"c", to=(GROUP, PORT))
    mroute.expect_forwarded(lab, "source1", 2)
    source2.send(b"d\xff", to=(GROUP, PORT))
    hint += "; a byte that does not print is printed as four characters"
    expect_heard(program, r"d\xff", source2, hint)


@pytest.mark.needs("test_one_source_is_heard_across_the_router")
@pytest.mark.points(1)
def test_all_but_one(lab: Lab, submission: Submission) -> None:
    """a group is heard from anybody, then from anybody but one, then from that one again"""
    router = Router(lab)
    program = start(lab, submission)
    source1, source2 = mroute.source(lab, "source1"), mroute.source(lab, "source2")
    hint = "IP_ADD_MEMBERSHIP without a source; IP_BLOCK_SOURCE and IP_UNBLOCK_SOURCE after it"
    tell(program, f"join {GROUP}", hint)
    router.follow("source1", "source2", hint=hint)
    source2.send(b"anybody", to=(GROUP, PORT))
    expect_heard(program, "anybody", source2, hint)

    tell(program, f"block {GROUP} {TWO}", hint)
    router.follow("source1", hint=hint)
    router.expect_report(Record(BLOCK, GROUP, (TWO,)), f"source {TWO} not wanted any more", hint)
    source2.send(b"blocked", to=(GROUP, PORT))
    source1.send(b"not blocked", to=(GROUP, PORT))
    expect_heard(program, "not blocked", source1, hint)

    tell(program, f"unblock {GROUP} {TWO}", hint)
    router.follow("source1", "source2", hint=hint)
    source2.send(b"again", to=(GROUP, PORT))
    expect_heard(program, "again", source2, hint)
    tell(program, f"leave {GROUP}", hint)
    router.follow(hint=hint)


@pytest.mark.needs("test_one_source_is_heard_across_the_router")
@pytest.mark.points(1)
def test_what_the_kernel_refuses_is_answered(lab: Lab, submission: Submission) -> None:
    """what the kernel refuses is answered with the errno, and the next command is read"""
    program = start(lab, submission)
    tell(program, f"join {GROUP} {ONE}")
    for command, name in (
        (f"join {GROUP} {ONE}", "EADDRNOTAVAIL"),
        (f"leave {GROUP} {TWO}", "EADDRNOTAVAIL"),
        (f"leave {OTHER} {ONE}", "EINVAL"),
        (f"join {GROUP}", "EADDRINUSE"),
        (f"join 10.0.1.2 {ONE}", "EINVAL"),
    ):
        wanted = f"error: {command.split()[0]}: {name}"
        hint = "pass on what setsockopt() says; a refused command changes nothing"
        said = program.ask(command, hint=hint)
        expect(
            re.match(rf"{wanted}\b", said),
            expected=f'"{wanted} (…)" for "{command}"',
            actual=f'"{said}"',
            hint=hint,
        )
    tell(program, f"leave {GROUP} {ONE}")
    program.end_input()
    program.expect_exit(0, hint="read() gives nothing: the end of the input, exit status 0")
