"""Filters in the language of tcpdump, compiled and run by the system's libpcap (pcap-filter(7))."""

import ctypes
import functools
from collections.abc import Callable

from labctl.errors import LabError, machine_error
from labctl.topology.words import quoted

Matches = Callable[[bytes], bool]
"""Whether an Ethernet frame, from its first byte, is meant."""

LONGEST_FILTER = 2000

_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")  # Debian's first; others number from 1
_ETHERNET = 1  # DLT_EN10MB
_WHOLE_FRAME = 262_144
_NETMASK_UNKNOWN = 0xFFFF_FFFF
_INSTRUCTION_BYTES = 8  # struct bpf_insn
_PREFIX = "can't parse filter expression: "
_HINT = "filters are written as for tcpdump; `man pcap-filter` explains them"
_ADDRESS_HINT = "write the address itself: filters do not know the names of nodes"


class _Program(ctypes.Structure):
    """``struct bpf_program``."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def compile_filter(text: str, *, where: str = "") -> Matches:
    """Return the filter as a function; ``where`` names its place in errors.

    Raises ``LabError`` with the words of libpcap where the filter does not parse, and where the
    machine has no libpcap.
    """
    problem = f"the filter {quoted(text)} cannot be understood"
    if not text.isascii() or not text.isprintable():
        raise LabError(f"{problem}: it may have plain ASCII letters only", where=where, hint=_HINT)
    if len(text) > LONGEST_FILTER:
        raise LabError(f"{problem}: it is over {LONGEST_FILTER} letters", where=where, hint=_HINT)
    library = _library()
    handle = library.pcap_open_dead(_ETHERNET, _WHOLE_FRAME)
    if not handle:
        raise MemoryError
    program = _Program()
    try:
        text_bytes = text.encode("ascii")
        if library.pcap_compile(handle, ctypes.byref(program), text_bytes, 1, _NETMASK_UNKNOWN):
            said: str = library.pcap_geterr(handle).decode(errors="replace")
            raise LabError(
                f"{problem}: {said.removeprefix(_PREFIX)}",
                where=where,
                hint=_ADDRESS_HINT if "unknown host" in said else _HINT,
            )
        size = program.length * _INSTRUCTION_BYTES
        instructions = ctypes.create_string_buffer(
            ctypes.string_at(program.instructions, size), size
        )
        library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
    run = library.bpf_filter

    def matches(frame: bytes) -> bool:
        # A load past the end makes the filter say no, so short frames need no check here.
        return bool(run(instructions, frame, len(frame), len(frame)))

    return matches


@functools.cache
def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        _declare(library)
        return library
    raise machine_error(
        'libpcap is not installed, and filters such as "udp port 8080" need it',
        hint="sudo apt-get install libpcap0.8",
    )


def _declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of include/pcap/pcap.h; without them a pointer is cut to an int."""
    program = ctypes.POINTER(_Program)
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_compile.argtypes = (
        ctypes.c_void_p,
        program,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint,
    )
    library.pcap_geterr.argtypes = (ctypes.c_void_p,)
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_freecode.argtypes = (program,)
    library.pcap_freecode.restype = None
    library.pcap_close.argtypes = (ctypes.c_void_p,)
    library.pcap_close.restype = None
    library.bpf_filter.argtypes = (
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_uint,
        ctypes.c_uint,
    )
    library.bpf_filter.restype = ctypes.c_uint
