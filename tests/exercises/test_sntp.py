import json
import time
from pathlib import Path

import pytest

from tests.exercises.running import run

# The namespaces end with the shell, and the server with them; for port 123 it has to be root there.
PREFIX = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
ASK = """
ip link set lo up
mkfifo "$1"
"$0" 127.0.0.1 123 >"$1" &
read -r ready <"$1" && [ "$ready" = READY ] && ntpdig -j 127.0.0.1
"""


@pytest.mark.kernel
def test_ntpdig_takes_the_time_from_the_server(tmp_path: Path) -> None:
    started_s = time.monotonic()
    done = run("sntp/sntp_server", str(tmp_path / "said"), prefix=(*PREFIX, "sh", "-c", ASK))
    took_s = time.monotonic() - started_s

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["host"], said["stratum"], said["leap"]) == ("127.0.0.1", 1, "no-leap")
    # It asks the clock that it compares with, and is wrong by no more than the asking took.
    assert abs(said["offset"]) < took_s
