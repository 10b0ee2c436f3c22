"""Lets setgroups(2) succeed without effect in a rootless lab.

A user namespace that an ordinary user maps alone may not set supplementary groups
(user_namespaces(7)), so every program that changes its user fails, though there is but one user
it could be: tcpdump is one of them. A seccomp filter answers the call in the kernel's place.
"""

import os
import struct

from labctl.kernel.namespaces import set_seccomp_filter

_CALLS = {
    # audit architecture (include/uapi/linux/audit.h) and the number of setgroups there
    "x86_64": (0xC000_003E, 116),
    "aarch64": (0xC000_00B7, 159),
    "riscv64": (0xC000_00F3, 159),
}

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ARCH_OFFSET, _NUMBER_OFFSET = 4, 0  # struct seccomp_data
_ALLOW, _ANSWER_ZERO = 0x7FFF_0000, 0x0005_0000  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO | 0


def pretend_setgroups() -> None:
    """Install the filter for this process and all that come from it.

    Needs CAP_SYS_ADMIN in the process's user namespace. Does nothing on a machine whose system
    call numbers are not known here; programs that change their user fail there, as without it.
    """
    known = _CALLS.get(os.uname().machine)
    if known is None:
        return
    architecture, number = known
    program = b"".join(
        struct.pack("HBBI", code, if_true, if_false, value)
        for code, if_true, if_false, value in (
            (_LOAD, 0, 0, _ARCH_OFFSET),
            (_EQUAL, 0, 3, architecture),
            (_LOAD, 0, 0, _NUMBER_OFFSET),
            (_EQUAL, 0, 1, number),
            (_RETURN, 0, 0, _ANSWER_ZERO),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    set_seccomp_filter(program)
