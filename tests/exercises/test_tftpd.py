import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exercises.running import running
from tests.limits import LIMIT_S

SIZES = (0, 512, 100_000)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that the reference serves, and the port."""
    folder = tmp_path / "served"
    folder.mkdir()
    with running("tftp/tftpd", "-r", str(folder), "127.0.0.1", "0") as server:
        port = server.line().rpartition(":")[2]
        assert server.line() == "READY"
        yield folder, port


def get(client: str, port: str, name: str, to: Path) -> list[str]:
    if client == "tftp":
        return ["tftp", "-m", "binary", "127.0.0.1", port, "-c", "get", name, str(to)]
    return ["atftp", "--get", "-r", name, "-l", str(to), "127.0.0.1", port]


def put(client: str, port: str, file: Path, name: str) -> list[str]:
    if client == "tftp":
        return ["tftp", "-m", "binary", "127.0.0.1", port, "-c", "put", str(file), name]
    return ["atftp", "--put", "-l", str(file), "-r", name, "127.0.0.1", port]


def carry_out(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("client", ["tftp", "atftp"])
@pytest.mark.parametrize("size", SIZES)
def test_real_clients_get_and_put_files(
    served: tuple[Path, str], tmp_path: Path, client: str, size: int
) -> None:
    folder, port = served
    content = os.urandom(size)
    (folder / "there").write_bytes(content)
    here = tmp_path / "here"
    carry_out(get(client, port, "there", here))
    assert here.read_bytes() == content
    carry_out(put(client, port, here, "new"))
    assert (folder / "new").read_bytes() == content


def test_a_real_client_is_told_why_not(served: tuple[Path, str], tmp_path: Path) -> None:
    _, port = served
    command = get("tftp", port, "nobody", tmp_path / "here")
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    assert b"code 1" in done.stdout + done.stderr
