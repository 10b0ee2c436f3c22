"""Packet sockets for the wire: whole frames in and out of one interface (packet(7))."""

import ctypes
import socket
import struct

VNET_HEADER_BYTES = 10
"""struct virtio_net_hdr, in front of every frame (include/uapi/linux/virtio_net.h)."""

PLAIN_HEADER = bytes(VNET_HEADER_BYTES)
"""A frame that is whole: its checksum is there, and it is one packet."""

_NEEDS_CHECKSUM = 1

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_BUFFER_BYTES = 32 << 20


def open_reader(interface: str) -> socket.socket:
    """Return a non-blocking socket that gets every frame arriving at an interface.

    Each comes behind a header of ``VNET_HEADER_BYTES``.
    """
    sock = _open()
    sock.bind((interface, _ETH_P_ALL))
    return sock


def open_writer(interface: str) -> socket.socket:
    """Return a socket that sends frames, each behind its header, out of an interface.

    It receives nothing: what arrives there is somebody else's.
    """
    sock = _open()
    reject_all = struct.pack("HBBI", 0x06, 0, 0, 0)
    program = ctypes.create_string_buffer(reject_all, len(reject_all))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
    )
    sock.bind((interface, _ETH_P_ALL))
    return sock


def _open() -> socket.socket:
    # Protocol 0: it hears nothing until it is bound, not frames of every interface.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        except PermissionError:
            # Only the host's root may go past net.core.rmem_max.
            sock.setsockopt(
                socket.SOL_SOCKET,
                socket.SO_RCVBUF if option == _SO_RCVBUFFORCE else socket.SO_SNDBUF,
                _BUFFER_BYTES,
            )
    sock.setblocking(False)
    return sock


def overruns(sock: socket.socket) -> int:
    """Return how many frames the kernel dropped since the last call because nobody read them."""
    _, dropped = struct.unpack("II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(dropped)


def completed(data: bytes) -> bytes | None:
    """Return the frame in ``data`` with its checksum filled in, without the header.

    ``None`` for a super-frame that the kernel has yet to cut into packets. Links whose offloads
    are off have neither; what was under way when they were switched off may be either.
    """
    flags, segmentation, _, _, start, offset = struct.unpack_from("BBHHHH", data)
    if segmentation:
        return None
    frame = data[VNET_HEADER_BYTES:]
    if not flags & _NEEDS_CHECKSUM:
        return frame
    covered = frame[start:] + b"\0" * (len(frame[start:]) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    # The field holds the sum of the pseudo header so far, so it counts in the sum (RFC 1071).
    value = ~total & 0xFFFF or 0xFFFF
    at = start + offset
    return frame[:at] + value.to_bytes(2, "big") + frame[at + 2 :]
