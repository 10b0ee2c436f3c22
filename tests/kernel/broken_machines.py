"""Runs Python as an ordinary user of a machine that has been broken on purpose.

The machine is a user namespace with mounts of its own, so that nothing of the real one changes
and no privileges are needed. The kernel refuses for real; no code of labctl's is replaced.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent.parent

_BECOME_ORDINARY = 'exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"'

DOCTOR = ("-m", "labctl", "doctor", "--json")


def run_python(
    *arguments: str, breaking: str, runtime: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a shell script that breaks the machine, then Python as uid 1000 without capabilities."""
    namespaces = ("--user", "--map-user=1000", "--map-group=1000", "--mount", "--net")
    return subprocess.run(
        [
            *("unshare", *namespaces, "--keep-caps"),
            *("sh", "-euc", f"{breaking}\n{_BECOME_ORDINARY}", "sh", sys.executable, *arguments),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def doctor(breaking: str, runtime: Path, **environment: str) -> dict[str, Any]:
    """Return what ``labctl doctor --json`` says there, with its exit code as ``exit_code``."""
    done = run_python(*DOCTOR, breaking=breaking, runtime=runtime, environment=environment)
    assert done.stderr == ""
    return read_doctor(done)


def read_doctor(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON that doctor printed, with its probes by name."""
    said: dict[str, Any] = json.loads(done.stdout)
    said["probes"] = {probe["name"]: probe for probe in said["probes"]}
    return {**said, "exit_code": done.returncode}


FILTER = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"unshare": 272, "openat": 257, "setsockopt": 54},
    "aarch64": {"unshare": 97, "openat": 56, "setsockopt": 208},
}

def forbid(call, answer, third_argument=None):
    "Have the kernel answer a system call itself (seccomp(2)), as a container does."
    load, equal, give = 0x20, 0x15, 0x06
    steps = [(load, 0, 0, 0), (equal, 0, 1, NUMBERS[os.uname().machine][call])]
    if third_argument is not None:
        steps = [(load, 0, 0, 0), (equal, 0, 3, NUMBERS[os.uname().machine][call])]
        steps += [(load, 0, 0, 32), (equal, 0, 1, third_argument)]
    steps += [(give, 0, 0, answer), (give, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    )
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program))) == 0

def become_doctor():
    os.execv(sys.executable, [sys.executable, "-m", "labctl", "doctor", "--json"])

EPERM, KILL = 0x00050001, 0x80000000
"""
"""Python source: what takes a system call away from a process before it becomes the doctor."""
