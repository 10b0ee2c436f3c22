"""Frames of a packet socket, from a ring that it shares with the kernel (TPACKET_V3, packet(7)).

A plain socket has two faults here. What nobody has read yet has to fit into ``net.core.rmem_max``,
which is some hundred frames on most machines, and who captures in vain shows packets as lost that
were not. And the kernel switches its clock for frames on a moment after it was asked to.
"""

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from labctl.errors import machine_error

_SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V3 = 2

_BLOCK_BYTES = 256 << 10  # a super-frame of TCP has 64 KiB, and a block has to hold it
_FRAME_BYTES = 2048  # of no meaning in this version, but checked
_RETIRE_AFTER_MS = 4  # when a block that is not full is handed over

# struct tpacket_block_desc, tpacket3_hdr and sockaddr_ll of include/uapi/linux/if_packet.h
_BLOCK_HEAD = struct.Struct("8xIII")
_STATUS_AT, _COUNT_AT = 8, 12
_FRAME_HEAD = struct.Struct("IIIIIIH")
_ADDRESS = struct.Struct("2x2xi2xB")
_ADDRESS_AT = 48
_NUMBER = struct.Struct("I")
_KERNELS, _OURS = 0, 1
_PACKET_OUTGOING = 4


class RingFrame(NamedTuple):
    """One frame, as the kernel tells of it."""

    time_ns: int
    interface_index: int
    is_outgoing: bool
    frame: bytes


class Ring:
    """The ring of one socket. Closing it does not close the socket."""

    def __init__(self, sock: socket.socket, size: int) -> None:
        """Attach a ring of about so many bytes to a packet socket.

        Takes the kernel some ten milliseconds, in which it waits for all its processors. Raises
        ``LabError`` where it has no memory.
        """
        sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        self._blocks = max(2, size // _BLOCK_BYTES)
        size = _BLOCK_BYTES * self._blocks
        frames = size // _FRAME_BYTES
        asked = (_BLOCK_BYTES, self._blocks, _FRAME_BYTES, frames, _RETIRE_AFTER_MS, 0, 0)
        try:
            _set_option(sock, _PACKET_RX_RING, struct.pack("7I", *asked))
            self._memory = mmap.mmap(sock.fileno(), size)
        except OSError as error:
            raise machine_error(
                f"packets cannot be captured: {error.strerror}",
                hint=f"each node needs {size >> 10} KiB of the kernel's memory for it",
            ) from error
        self._sock = sock
        self._next = 0

    def close(self) -> None:
        """Give the memory back, with what was not read."""
        self._memory.close()

    def take(self) -> Iterator[RingFrame]:
        """Yield the frames of every block that the kernel has handed over."""
        while True:
            start = self._next * _BLOCK_BYTES
            status, count, at = _BLOCK_HEAD.unpack_from(self._memory, start)
            if not status & _OURS:
                return
            at += start
            for _ in range(count):
                following, seconds, nanoseconds, kept, _, _, data_at = _FRAME_HEAD.unpack_from(
                    self._memory, at
                )
                index, kind = _ADDRESS.unpack_from(self._memory, at + _ADDRESS_AT)
                yield RingFrame(
                    seconds * 1_000_000_000 + nanoseconds,
                    index,
                    kind == _PACKET_OUTGOING,
                    self._memory[at + data_at : at + data_at + kept],
                )
                at += following
            # The count first: `has_more` reads it of blocks that the kernel has not begun.
            _NUMBER.pack_into(self._memory, start + _COUNT_AT, 0)
            _NUMBER.pack_into(self._memory, start + _STATUS_AT, _KERNELS)
            self._next = (self._next + 1) % self._blocks

    def has_more(self) -> bool:
        """Whether a frame has been captured that was not taken; soon it can be."""
        _, count, _ = _BLOCK_HEAD.unpack_from(self._memory, self._next * _BLOCK_BYTES)
        return bool(count)

    def missed(self) -> int:
        """Return how many frames found the ring full since the last call."""
        _, dropped, _ = struct.unpack(
            "III", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 12)
        )
        return int(dropped)


def _set_option(sock: socket.socket, option: int, value: bytes) -> None:
    """Do what ``socket.setsockopt`` does, which makes every thread wait for as long as it takes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setsockopt(sock.fileno(), _SOL_PACKET, option, value, len(value)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
