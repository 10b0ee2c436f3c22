"""Checks of broken-scan. The contract is in README.md."""

import pytest
from scan_frames import (
    SERVER,
    checksum,
    first_frame,
    interface_of,
    mac,
    silence,
    tcp_sum,
)

from labctl.testing import Lab, Submission, expect_equal


@pytest.mark.points(2)
def test_the_frame_goes_to_the_host(lab: Lab, submission: Submission) -> None:
    """the frame goes from the interface's Ethernet address to the host's"""
    sent = first_frame(lab, submission)
    link = lab.topology.links[0]
    ends = {
        "destination": (sent.ethernet[:6], mac(lab["server"], link.right.interface)),
        "source": (sent.ethernet[6:12], mac(lab["client"], link.left.interface)),
    }
    hint = (
        "TCP discards what was sent to everybody: ask by ARP who has the address; the interface's "
        "own is in getsockname() of a packet socket that is bound to it"
    )
    for name, (actual, right) in ends.items():
        expect_equal(actual.hex(":"), right.hex(":"), f"{name} of the frame", hint)
    expect_equal(sent.ethernet[12:].hex(), "0800", "type of the frame", "IPv4 is 0x0800")


@pytest.mark.points(2)
def test_the_ip_header(lab: Lab, submission: Submission) -> None:
    """the IP header has its length and its checksum"""
    ip = first_frame(lab, submission).ip
    total = int.from_bytes(ip[2:4], "big")
    hint = "struct.pack with `!` turns a number round by itself; htons() before that turns it back"
    expect_equal(total, 40, f"total length in the IP header {ip.hex()}", hint)
    expect_equal(f"{ip[0]:#04x}", "0x45", "version and header length", "4 << 4 | 5")
    right = checksum(ip[:10] + b"\0\0" + ip[12:])
    hint = "over the 20 bytes of the header as they are sent, with 0 for the sum"
    actual = int.from_bytes(ip[10:12], "big")
    expect_equal(f"{actual:#06x}", f"{right:#06x}", "checksum of the IP header", hint)


@pytest.mark.points(2)
def test_the_tcp_header(lab: Lab, submission: Submission) -> None:
    """the TCP header has its length and its flags in the right bits"""
    tcp = first_frame(lab, submission).tcp
    hint = "bit fields of C have an order that the compiler chooses; on the wire the length is in the upper half"
    expect_equal(f"{tcp[12]:#04x}", "0x50", f"byte 12 of the TCP header {tcp.hex()}", hint)
    hint = "FIN 01, SYN 02, RST 04, PSH 08, ACK 10, URG 20"
    expect_equal(f"{tcp[13]:#04x}", "0x02", f"byte 13 of the TCP header {tcp.hex()}", hint)


@pytest.mark.points(2)
def test_the_checksum(lab: Lab, submission: Submission) -> None:
    """the segment has a checksum that the receiver finds right"""
    hint = (
        "the pseudo header has the addresses, 0, the protocol and the length of the segment alone"
    )
    # No number that is not computed is right for both.
    for port in (7002, 7004):
        tcp = first_frame(lab, submission, port).tcp
        right = tcp_sum(tcp[:16] + b"\0\0" + tcp[18:])
        actual = int.from_bytes(tcp[16:18], "big")
        shown = f"checksum of the segment {tcp.hex()}"
        expect_equal(f"{actual:#06x}", f"{right:#06x}", shown, hint)


@pytest.mark.needs(
    "test_the_frame_goes_to_the_host",
    "test_the_ip_header",
    "test_the_tcp_header",
    "test_the_checksum",
)
@pytest.mark.points(2)
def test_the_answers_are_understood(lab: Lab, submission: Submission) -> None:
    """open, closed and filtered ports are told apart"""
    lab["server"].listen(7001)
    silence(lab["server"], 7003)
    interface = interface_of(lab)
    hint = "SYN and ACK: open; RST and ACK: closed; both acknowledge your number plus one"
    arguments = ("-W", "20000", interface, SERVER, "7001,7002")
    program = submission.start("client", "frame_scan", *arguments, ready=False)
    ended = program.end(expected="both ports are known, and the program ends", hint=hint)
    said = sorted(ended.stdout.decode(errors="backslashreplace").splitlines())
    expect_equal(said, ["port=7001 open", "port=7002 closed"], "the lines", hint)
    program = submission.start(
        "client", "frame_scan", "-W", "100", interface, SERVER, "7003", ready=False
    )
    program.expect_line("port=7003 filtered", hint="nothing came back in time")
    program.expect_exit(0)
