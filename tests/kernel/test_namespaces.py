import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.kernel import namespaces

NEW_USER = "from labctl.kernel.namespaces import *; unshare(CLONE_NEWUSER | CLONE_NEWUTS)\n"


def _python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_error_names_the_system_call() -> None:
    with pytest.raises(OSError, match="setns: Bad file descriptor") as error:
        namespaces.setns(-1, 0)

    assert error.value.errno == errno.EBADF


def test_an_error_of_a_mount_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"mount on {tmp_path}/no: "):
        namespaces.mount("tmpfs", f"{tmp_path}/no", "no-such-kind")


def test_an_error_of_an_unmount_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"umount of {tmp_path}: "):
        namespaces.unmount(str(tmp_path))


@pytest.mark.kernel
def test_the_host_name_of_new_namespaces_is_their_own() -> None:
    output = _python(NEW_USER + "import os; sethostname('inside'); print(os.uname().nodename)")

    assert output == "inside\n"
    assert os.uname().nodename != "inside"


def test_a_process_gets_a_name_of_at_most_15_bytes() -> None:
    script = (
        "from labctl.kernel.namespaces import set_process_name\n"
        "set_process_name('labctl-holder-of-a-lab')\n"
        "print(open('/proc/self/comm').read())"
    )

    assert _python(script).strip() == "labctl-holder-o"


def test_a_process_can_be_made_to_die_with_its_parent() -> None:
    script = """
import os, signal
from labctl.kernel.namespaces import die_with_parent
read_end, write_end = os.pipe()
if os.fork() == 0:
    ready_read, ready_write = os.pipe()
    if os.fork() == 0:
        die_with_parent(signal.SIGKILL)
        os.write(ready_write, b"x")
        signal.pause()
    os.read(ready_read, 1)
    os._exit(0)
os.close(write_end)
print(os.read(read_end, 1))
"""
    assert _python(script) == "b''\n"


def test_numbers_are_those_of_the_python_that_has_them() -> None:
    known = {name: value for name, value in vars(os).items() if name.startswith("CLONE_NEW")}

    assert {name: getattr(namespaces, name, value) for name, value in known.items()} == known
