"""Checks of multicast. The contract is in README.md."""

import re
import socket
from contextlib import suppress

import group_lab
import pytest
from group_lab import GROUP, OTHER, PORT, THIRD, Record

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    until,
)

MEMBERS_ONLY = "a group is heard from IP_ADD_MEMBERSHIP to IP_DROP_MEMBERSHIP, not before and after"


@pytest.mark.points(2)
def test_only_members_hear(lab: Lab, submission: Submission) -> None:
    """the listener hears a group from when it joins until it leaves"""
    program = group_lab.listener(lab, submission)
    alice = group_lab.sender(lab, "alice")
    alice.send(b"before", to=(GROUP, PORT))
    expect_arrived(lab, f"dst host {GROUP}")  # it is on the wire for all, members or not
    group_lab.join(program, GROUP)
    alice.send(b"meanwhile", to=(GROUP, PORT))
    group_lab.expect_heard(program, "meanwhile", MEMBERS_ONLY)
    group_lab.expect_answer(program, f"leave {GROUP}", f"left {GROUP}", MEMBERS_ONLY)
    alice.send(b"after", to=(GROUP, PORT))
    group_lab.join(program, OTHER)
    alice.send(b"other", to=(OTHER, PORT))
    group_lab.expect_heard(program, "other", MEMBERS_ONLY)


def expect_arrived(lab: Lab, match: str) -> None:
    if not until(lambda: lab.packets(match, received_by="bob"), WITHIN_S):
        raise machine_error("a datagram of the check's own did not arrive", where="check")


@pytest.mark.needs("test_only_members_hear")
@pytest.mark.points(1)
def test_several_groups_on_one_port(lab: Lab, submission: Submission) -> None:
    """several groups share the port; each line says which one, from whom and with what TTL"""
    program = group_lab.listener(lab, submission, GROUP, OTHER, THIRD)
    alice = group_lab.sender(lab, "alice", ttl=1)
    carol = group_lab.sender(lab, "carol", ttl=9)
    hint = (
        "to= is the destination in the datagram: IP_PKTINFO with recvmsg(), of its three fields "
        "the last; ttl= comes with IP_RECVTTL; a new group does not end the one before"
    )
    sent = ((alice, GROUP, 1), (carol, THIRD, 9), (carol, OTHER, 9), (alice, THIRD, 1))
    for number, (who, group, ttl) in enumerate(sent):
        who.send(f"word {number}".encode(), to=(group, PORT))
        group_lab.expect_heard(program, f"word {number}", hint, sent_by=who, to=group, ttl=ttl)
    alice.send(b"a\xff\x1bb", to=(GROUP, PORT))
    hint = "a byte that does not print is printed as four characters: it could be for the terminal"
    group_lab.expect_heard(program, r"a\xff\x1bb", hint, sent_by=alice, to=GROUP, ttl=1)


@pytest.mark.needs("test_only_members_hear")
@pytest.mark.points(1)
def test_what_others_joined_is_not_heard(lab: Lab, submission: Submission) -> None:
    """what only another program of the host has joined is not printed, nor what is for no group"""
    program = group_lab.listener(lab, submission, GROUP)
    # On a port of its own: it is the host that has joined, and not a port.
    group_lab.member(lab, "bob", OTHER, port=PORT + 1)
    alice = group_lab.sender(lab, "alice")
    alice.send(b"of a group that another program has joined", to=(OTHER, PORT))
    alice.send(b"for this host alone", to=(lab["bob"].address, PORT))
    alice.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    alice.send(b"for every host", to=("10.0.0.255", PORT))
    # Nothing that comes first may be overtaken: unicast waits for ARP, and a group does not.
    for address in (OTHER, lab["bob"].address, "10.0.0.255"):
        expect_arrived(lab, f"udp and dst host {address}")
    alice.send(b"of our group", to=(GROUP, PORT))
    group_lab.expect_heard(
        program,
        "of our group",
        "a socket gets every group that its host has joined, whoever did (IP_MULTICAST_ALL), and "
        "unicast and broadcast too: print what is for a group of yours",
    )


@pytest.mark.needs("test_only_members_hear")
@pytest.mark.points(1)
def test_two_listeners_share_the_port(lab: Lab, submission: Submission) -> None:
    """two listeners on one host share the port, and both hear"""
    other = group_lab.member(lab, "bob", GROUP)
    try:
        program = group_lab.listener(lab, submission, GROUP)
    except Unmet as error:
        raise Unmet(
            "READY, though another program that allows it has the port",
            error.actual,
            "SO_REUSEADDR before bind(), on both sides",
        ) from None
    group_lab.sender(lab, "alice").send(b"for both", to=(GROUP, PORT))
    group_lab.expect_heard(program, "for both", "each of them gets a copy")
    expect_equal(other.receive(), b"for both", "what the other one heard", "each gets a copy")


@pytest.mark.needs("test_only_members_hear")
@pytest.mark.points(1)
def test_joining_and_leaving_are_on_the_wire(lab: Lab, submission: Submission) -> None:
    """the network is told of joining and of leaving, also by the end of the program"""
    program = group_lab.listener(lab, submission, GROUP, OTHER)
    hint = "tcpdump -v igmp: the kernel says it, when the last socket of the host joins or leaves"
    for group in (GROUP, OTHER):
        wanted = Record(group_lab.TO_EXCLUDE, group, ())
        group_lab.expect_report(lab, "bob", wanted, f"joins {group}", hint)
    group_lab.expect_answer(program, f"leave {GROUP}", f"left {GROUP}", MEMBERS_ONLY)
    wanted = Record(group_lab.TO_INCLUDE, GROUP, ())
    group_lab.expect_report(lab, "bob", wanted, f"leaves {GROUP}", hint)
    program.end_input()
    program.expect_exit(0, hint="at the end of the input it ends")
    wanted = Record(group_lab.TO_INCLUDE, OTHER, ())
    group_lab.expect_report(lab, "bob", wanted, f"leaves {OTHER}", hint)


@pytest.mark.needs("test_only_members_hear")
@pytest.mark.points(1)
def test_a_failed_command_is_answered(lab: Lab, submission: Submission) -> None:
    """a command that fails is answered with the errno, and the next is read"""
    program = group_lab.listener(lab, submission, GROUP)
    for command, name in (
        (f"join {GROUP}", "EADDRINUSE"),
        (f"leave {OTHER}", "EADDRNOTAVAIL"),
        ("join 10.0.0.3", "EINVAL"),
    ):
        word = command.split()[0]
        hint = "pass on what setsockopt() says: joined already, not joined, no multicast address"
        said = program.ask(command, hint=hint)
        expect(
            re.match(rf"error: {word}: {name}\b", said),
            expected=f'"error: {word}: {name} (…)" for "{command}"',
            actual=f'"{said}"',
            hint=hint,
        )
    group_lab.sender(lab, "alice").send(b"still here", to=(GROUP, PORT))
    group_lab.expect_heard(program, "still here", "a failed command changes nothing")
    hint = "one read() may give several lines: poll() does not tell of one that you have read"
    program.write(f"join {OTHER}\njoin {THIRD}\n".encode())
    program.expect_line(f"joined {OTHER}", hint=hint)
    program.expect_line(f"joined {THIRD}", hint=hint)


def send(lab: Lab, submission: Submission, text: bytes, *options: str) -> None:
    """Run the sender on alice, and expect that it ends well."""
    program = start_sender(lab, submission, *options)
    program.write(text)
    program.end_input()
    program.expect_exit(0, hint="alice has no default route: IP_MULTICAST_IF says by which way")


def start_sender(lab: Lab, submission: Submission, *options: str) -> Program:
    arguments = (GROUP, str(PORT), "-s", lab["alice"].address, *options)
    return submission.start("alice", "group_sender", *arguments, ready=False)


@pytest.mark.points(1)
def test_each_line_goes_to_the_group_once(lab: Lab, submission: Submission) -> None:
    """the sender sends each line to the group once, by the interface that it was told"""
    bob = group_lab.member(lab, "bob", GROUP)
    carol = group_lab.member(lab, "carol", GROUP)
    send(lab, submission, b"one\ntwo\n")
    hint = "one datagram for each line, without its LF"
    for who in (bob, carol):
        got = sorted([who.receive(), who.receive()])
        expect_equal(got, [b"one", b"two"], "what a member gets", hint)
    # The last 23 bits of the group are the end of the frame's address.
    match = f"ether dst 01:00:5e:01:02:03 and udp dst port {PORT} and src host 10.0.0.1"
    sent = lab.packets(match, sent_by="alice")
    hint = "the switch copies the frame for all; IP_MULTICAST_IF, or bind() to SOURCE"
    expect_equal(
        len(sent), 2, "frames from 10.0.0.1 to the group's address 01:00:5e:01:02:03", hint
    )


@pytest.mark.needs("test_each_line_goes_to_the_group_once")
@pytest.mark.points(1)
def test_each_line_goes_as_it_is_at_once(lab: Lab, submission: Submission) -> None:
    """each line is sent as it is, blank or empty, and when it is typed"""
    bob = group_lab.member(lab, "bob", GROUP)
    program = start_sender(lab, submission)
    hint = "take off the LF and nothing else; do not wait for the end of the input"
    for line in (b" one ", b"", b"two"):
        program.write(line + b"\n")
        got = bob.receive(expected=f"a datagram with {line!r}", hint=hint)
        expect_equal(got, line, "what a member gets", hint)
    program.end_input()
    program.expect_exit(0, hint="at the end of the input it ends")


@pytest.mark.needs("test_each_line_goes_to_the_group_once")
@pytest.mark.points(1)
def test_a_group_out_of_reach_is_told(lab: Lab, submission: Submission) -> None:
    """without a way to the group the sender says so, and ends with exit status 1"""
    arguments = (GROUP, str(PORT))  # without -s: alice has no default route
    program = submission.start("alice", "group_sender", *arguments, ready=False)
    with suppress(Unmet):  # it may have ended: connect() is as good as sendto()
        program.write(b"to nobody\n")
    program.end_input()
    ended = program.expect_exit(1, hint="a call that fails: one line on stderr, exit status 1")
    said = ended.stderr.decode(errors="backslashreplace").strip()
    expect(
        re.fullmatch(r"error: \w+: ENETUNREACH\b.*", said),
        expected="on stderr: error: sendto: ENETUNREACH (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint="one line with the call that failed and the name of errno",
    )


@pytest.mark.needs("test_each_line_goes_to_the_group_once")
@pytest.mark.points(1)
def test_the_ttl_is_1_or_what_was_asked_for(lab: Lab, submission: Submission) -> None:
    """the TTL is 1, or what was asked for"""
    bob = group_lab.member(lab, "bob", GROUP)
    for options, ttl in (((), 1), (("-t", "7"), 7)):
        send(lab, submission, f"ttl {ttl}\n".encode(), *options)
        bob.receive()
        ttls = [s.frame[22] for s in lab.packets(f"udp dst port {PORT}", received_by="bob")]
        expect_equal(ttls[-1], ttl, "TTL on the wire", "IP_MULTICAST_TTL; IP_TTL is for unicast")


@pytest.mark.needs("test_each_line_goes_to_the_group_once")
@pytest.mark.points(1)
def test_the_own_host_hears_it_or_not(lab: Lab, submission: Submission) -> None:
    """members on the sender's own host hear it, but not with -n"""
    bob = group_lab.member(lab, "bob", GROUP)
    alice = group_lab.member(lab, "alice", GROUP)
    send(lab, submission, b"quiet\n", "-n")
    expect_equal(bob.receive(), b"quiet", "what bob hears", "-n is about the own host alone")
    send(lab, submission, b"loud\n")
    expect_equal(bob.receive(), b"loud", "what bob hears", "-n is about the own host alone")
    hint = "IP_MULTICAST_LOOP, on the socket that sends: 0 with -n, 1 without"
    heard = alice.receive(expected="the line that was sent without -n", hint=hint)
    expect_equal(heard, b"loud", "what a member on alice hears first", hint)
