"""What the checks of broken-scan find in the frames of a scanner, and how a port is made silent."""

import array
import socket
import struct
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Node, Sighting, Submission, unmet, until

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"

_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class Sent(NamedTuple):
    """A frame with a SYN in it, or what was to be one: its headers are where they should be."""

    ethernet: bytes
    ip: bytes
    tcp: bytes


def checksum(data: bytes) -> int:
    """Return the Internet checksum; 0 where it is in the data and right."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(int(word) for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_sum(segment: bytes) -> int:
    addresses = socket.inet_aton(CLIENT) + socket.inet_aton(SERVER)
    return checksum(addresses + struct.pack("!BBH", 0, 6, len(segment)) + segment)


def interface_of(lab: Lab) -> str:
    """Return the client's interface."""
    return lab.topology.links[0].left.interface


def mac(node: Node, interface: str) -> bytes:
    with node.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
        sock.bind((interface, 0))
        address: bytes = sock.getsockname()[4]
    return address


def first_frame(lab: Lab, submission: Submission, port: int = 7002) -> Sent:
    """Have the scanner ask a closed port, and return its frame. Raises ``Unmet``."""
    arguments = ("-W", "20000", interface_of(lab), SERVER, str(port))

    def sent() -> list[Sighting]:
        return lab.packets(f"ip proto 6 and src host {CLIENT}", sent_by="client")

    before = len(sent())
    program = submission.start("client", "frame_scan", *arguments, ready=False)
    until(lambda: len(sent()) > before or not program.is_running(), WITHIN_S)
    found = sent()[before:]
    if not found:
        hint = "it has to find out the host's Ethernet address first: ARP"
        unmet(
            "a frame with TCP is sent",
            f"the program {program.how_it_ended()}" if not program.is_running() else "none is",
            hint,
        )
    program.kill()
    frame = found[0].frame
    if len(frame) < 54:
        unmet("a frame of 54 bytes: 14, 20 and 20", f"{len(frame)} bytes: {frame.hex()}")
    return Sent(frame[:14], frame[14:34], frame[34:54])


def silence(node: Node, port: int) -> None:
    """Have a port of the node not answer at all, as behind a firewall that drops."""
    sock = node.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A listening socket whose filter lets nothing pass: its segments are dropped without a word.
    program = array.array("B", _RETURN_NOTHING)
    fprog = struct.pack("HP", 1, program.buffer_info()[0])
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
    sock.bind(("0.0.0.0", port))
    sock.listen()
