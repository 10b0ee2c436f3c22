"""The reference with filters that tcpdump compiles, and tcpdump as the reader of its file."""

import subprocess
from pathlib import Path

import pytest

from tests.exercises.running import reference, run
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel


def compiled(text: str) -> str:
    done = subprocess.run(
        ["tcpdump", "-ddd", "-y", "EN10MB", text],
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    return done.stdout.decode().replace("\n", ",")


# Sends a datagram over loopback, where a frame is seen twice, once the sniffer hears: it writes the
# header of the file when it does.
SCRIPT = """
ip link set lo up
sniff=$1 filter=$2
exec 3<>"$3"
"$sniff" -c 2 lo "$filter" >&3 &
head -c 24 <&3
echo hello >/dev/udp/127.0.0.1/7777
wait $!
head -c 128 <&3
"""


def test_tcpdump_reads_what_its_filter_let_pass(tmp_path: Path) -> None:
    fifo = str(tmp_path / "frames")
    subprocess.run(["mkfifo", fifo], check=True)
    arguments = (reference("sniffer/sniff"), compiled("udp port 7777"), fifo)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "bash", "-c", SCRIPT, "bash", *arguments],
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert b"captured=2 received=2 dropped=0\n" in done.stderr
    read = subprocess.run(
        ["tcpdump", "-n", "-t", "-r", "-"],
        input=done.stdout,
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    lines = read.stdout.decode().splitlines()
    assert len(lines) == 2
    assert all("127.0.0.1.7777: UDP, length 6" in line for line in lines)


@pytest.mark.parametrize("text", ["", "2,6 0 0 0", "1,6 0 0", "1,6 0 256 0", "1,x 0 0 0"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    done = run("sniffer/sniff", "lo", text)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"error: filter: ")
