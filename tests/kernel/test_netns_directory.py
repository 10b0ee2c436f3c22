"""/run/netns and /etc/netns are changed in a mount namespace of the test's own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

ROOM = """
mount -t tmpfs none /run
mount -t tmpfs none /etc
exec "$@"
"""


def _python(script: str) -> str:
    """Run a script as root of namespaces with an empty /run and /etc; return its output."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ROOM, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_directory_is_one_shared_mount_however_often_it_is_prepared() -> None:
    output = _python(
        "from labctl.kernel.netns_directory import prepare_netns_directory as prepare\n"
        "prepare(); prepare(); prepare()\n"
        "print(*[line for line in open('/proc/self/mountinfo') if ' /run/netns ' in line and ' tmpfs ' in line])\n"
    )

    assert len(output.strip().splitlines()) == 1
    assert " shared:" in output


LINK = """
import os
from labctl.kernel.netns_directory import link_etc_netns
from labctl.kernel.state import LabState
state = LabState("lab", "/run")
os.makedirs(state.file("etc/lab-a"))
open(state.file("etc/lab-a/hosts"), "w").write("10.0.0.1 a")
state.write("claims", "lab-a 1\\n")
{before}
link_etc_netns(state, "lab-a")
print(os.path.realpath("/etc/netns/lab-a"), *os.listdir("/etc/netns/lab-a"))
state.remove_names()
print(*os.listdir("/etc/netns"))
"""


def test_the_hosts_file_is_linked_and_the_link_goes_with_the_lab() -> None:
    assert _python(LINK.format(before="")) == "/run/lab/etc/lab-a hosts\n\n"


def test_a_folder_of_the_administrator_wins_and_stays() -> None:
    before = "os.makedirs('/etc/netns/lab-a/own')"

    assert _python(LINK.format(before=before)) == "/etc/netns/lab-a own\nlab-a\n"
