"""Filters of system calls, built by the system's libseccomp (seccomp(2)).

The numbers of system calls differ from one architecture to the next, and so does what a filter
must check before it may trust them: the library knows both.
"""

import ctypes
import errno
import functools
import os
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from labctl.errors import machine_error

_NAMES = ("libseccomp.so.2", "libseccomp.so")
_UNKNOWN_CALL = -1  # __NR_SCMP_ERROR
_ALLOW = 0x7FFF_0000  # SCMP_ACT_ALLOW
_KILL_PROCESS = 0x8000_0000  # SCMP_ACT_KILL_PROCESS
_REFUSE = 0x0005_0000  # SCMP_ACT_ERRNO, with the number of the error in its lower half
_BAD_ARCHITECTURE = 2  # SCMP_FLTATR_ACT_BADARCH


class Compare(Enum):
    """How an argument of a system call is compared; the numbers are those of ``scmp_compare``."""

    EQUALS = 4
    ABOVE = 6
    HAS_BITS = 7


class Argument(NamedTuple):
    """A condition on one argument of a system call, counted from 0."""

    number: int
    test: Compare
    value: int


class Refusal(NamedTuple):
    """A system call that fails with an error, always or with such an argument."""

    call: str
    argument: Argument | None = None
    error: int = errno.EPERM


Filter = Sequence[Refusal]
"""What is refused; all else is allowed. A program of another architecture is killed."""


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("number", ctypes.c_uint),
        ("test", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def export(refusals: Filter) -> bytes:
    """Return the filter as the instructions that the kernel takes.

    A system call that the library has never heard of is left out: it is newer than the library,
    and cannot be named to it. Raises ``LabError`` where the machine has no libseccomp.
    """
    library = _library()
    context = library.seccomp_init(_ALLOW)
    if not context:
        raise MemoryError
    try:
        _check(library.seccomp_attr_set(context, _BAD_ARCHITECTURE, _KILL_PROCESS))
        for refusal in refusals:
            _add(library, context, refusal)
        with open(os.memfd_create("seccomp"), "rb") as file:
            _check(library.seccomp_export_bpf(context, file.fileno()))
            file.seek(0)
            return file.read()
    finally:
        library.seccomp_release(context)


def _add(library: ctypes.CDLL, context: int, refusal: Refusal) -> None:
    number = library.seccomp_syscall_resolve_name(refusal.call.encode())
    if number == _UNKNOWN_CALL:
        return
    action = _REFUSE | refusal.error
    if refusal.argument is None:
        _check(library.seccomp_rule_add_array(context, action, number, 0, None))
        return
    place, test, value = refusal.argument
    # For HAS_BITS the first is the mask, the second what has to come of it.
    comparison = _Comparison(place, test.value, value, value)
    _check(library.seccomp_rule_add_array(context, action, number, 1, ctypes.byref(comparison)))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, f"libseccomp: {os.strerror(-result)}")


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
        "libseccomp is not installed, and sandboxed programs need it",
        hint="sudo apt-get install libseccomp2",
    )


def _declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of seccomp.h; without them a pointer is cut to an int."""
    context = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_init.restype = context
    library.seccomp_release.argtypes = (context,)
    library.seccomp_release.restype = None
    library.seccomp_attr_set.argtypes = (context, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        context,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (context, ctypes.c_int)
