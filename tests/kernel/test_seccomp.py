import errno
import subprocess
import sys

import pytest

from labctl.errors import LabError
from labctl.kernel import seccomp
from labctl.kernel.seccomp import Argument, Compare, Refusal, export
from tests.checkers import CHECKOUT

INSTALL = """
import errno, os, socket, sys
from labctl.kernel.namespaces import forbid_new_privileges, set_seccomp_filter
from labctl.kernel.seccomp import Argument, Compare, Refusal, export
forbid_new_privileges()
set_seccomp_filter(export({refusals}))
def outcome(act):
    try:
        act()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
"""


def _outcome(refusals: str, act: str) -> str:
    """Install a filter in a process of its own; return how an act ends there."""
    code = INSTALL.format(refusals=refusals) + f"sys.stdout.write(outcome(lambda: {act}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_filter_is_a_row_of_whole_instructions() -> None:
    empty, one = export([]), export([Refusal("mkdir")])

    assert len(empty) % 8 == 0
    assert len(one) > len(empty) > 0


@pytest.mark.parametrize(("error", "name"), [(errno.EPERM, "EPERM"), (errno.ENOSYS, "ENOSYS")])
def test_a_refused_call_fails_with_its_error(error: int, name: str) -> None:
    refusal = f'[Refusal("getpgid", error={error})]'

    assert _outcome(refusal, "os.getpgid(0)") == name
    assert _outcome(refusal, "os.getpid()") == "done"


@pytest.mark.parametrize(
    ("argument", "family", "expected"),
    [
        ("Argument(0, Compare.EQUALS, 1)", "socket.AF_UNIX", "EPERM"),
        ("Argument(0, Compare.EQUALS, 1)", "socket.AF_INET", "done"),
        ("Argument(0, Compare.ABOVE, 1)", "socket.AF_INET", "EPERM"),
        ("Argument(0, Compare.ABOVE, 2)", "socket.AF_INET", "done"),
        ("Argument(0, Compare.HAS_BITS, 2)", "socket.AF_INET6", "EPERM"),  # 10 is 8 and 2
        ("Argument(0, Compare.HAS_BITS, 4)", "socket.AF_INET6", "done"),
    ],
)
def test_a_call_is_refused_by_its_argument(argument: str, family: str, expected: str) -> None:
    act = f"socket.socket({family}, socket.SOCK_DGRAM).close()"

    assert _outcome(f'[Refusal("socket", {argument})]', act) == expected


def test_a_call_that_the_library_does_not_know_is_left_out() -> None:
    assert export([Refusal("call_of_the_next_century")]) == export([])


def test_a_filter_stays_on_what_the_process_executes() -> None:
    script = "import os; print(os.getpid()); os.getpgid(0)"
    act = f"os.execv(sys.executable, [sys.executable, '-c', '{script} or os._exit(0)'])"
    code = INSTALL.format(refusals='[Refusal("getpgid")]') + act
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=CHECKOUT
    )

    assert done.stdout.strip().isdecimal()
    assert "PermissionError" in done.stderr


def test_a_machine_without_the_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seccomp, "_NAMES", ("libnowhere.so.7",))
    seccomp._library.cache_clear()
    try:
        with pytest.raises(LabError, match="libseccomp is not installed") as error:
            export([Refusal("mkdir", Argument(1, Compare.EQUALS, 0))])
    finally:
        seccomp._library.cache_clear()

    assert error.value.hint == "sudo apt-get install libseccomp2"
    assert error.value.exit_code == 3
