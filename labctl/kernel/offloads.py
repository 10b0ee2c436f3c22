"""Switches off what an interface leaves to its hardware, which a veth does not have (ethtool(8)).

Frames of a veth normally travel without a checksum and up to 64 KiB long, because nobody
on the way looks. An emulator does: it would corrupt data that no checksum protects, and count
one frame where the wire would carry forty.
"""

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO = 0x17, 0x1F, 0x24


def set_offloads(sock: socket.socket, interface: str, *, on: bool) -> None:
    """Switch checksum and segmentation offloads of an interface on or off.

    ``sock`` is any socket that lives in the interface's namespace. Raises ``OSError``.
    """
    # Checksums first when switching on: segmentation needs them.
    commands = (_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO)
    for command in commands if on else reversed(commands):
        value = array.array("B", struct.pack("II", command, on))
        address, _ = value.buffer_info()
        fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), address))
