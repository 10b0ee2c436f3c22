import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import Labctl
from tests.grading.shout import make_shout


def _complete(labctl: Labctl, line: str) -> set[str]:
    """Return what bash would offer at the end of the line (argcomplete's own protocol)."""
    answer = Path(labctl.folder, "answer")
    answer.touch()
    labctl(
        environment={
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line.encode())),
            "COMP_TYPE": "9",
        }
    )
    return set(answer.read_text().split("\v")) - {""}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_code_for_each_shell(labctl: Labctl, shell: str) -> None:
    done = labctl("completion", shell)

    assert done.code == 0
    assert "labctl" in done.out
    assert "_ARGCOMPLETE" in done.out


def test_bash_understands_its_code(labctl: Labctl) -> None:
    code = labctl("completion", "bash").out
    asked = subprocess.run(
        ["bash", "--norc", "-c", f"{code}\ncomplete -p labctl"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "labctl" in asked.stdout


def test_verbs(labctl: Labctl) -> None:
    assert {"up", "down", "exec", "explain"} <= _complete(labctl, "labctl ")
    assert _complete(labctl, "labctl ex") == {"exec", "explain"}


def test_labs_that_can_be_built(labctl: Labctl) -> None:
    labctl.write("labs/two_many.yaml", "name: two_many\nnodes: [a]\n")

    assert _complete(labctl, "labctl up two") == {"two_clients", "two_many"}


def test_exercises_and_their_checks(labctl: Labctl) -> None:
    make_shout(labctl.folder)

    assert "udp-time" in _complete(labctl, "labctl start ")
    for verb in ("start", "check", "grade"):
        assert _complete(labctl, f"labctl {verb} sho") == {"shout"}
    assert _complete(labctl, "labctl check shout --only test_u") == {"test_umlauts"}
    assert _complete(labctl, "labctl check none --only test_u") == set()


def test_options(labctl: Labctl) -> None:
    assert {"--rootless", "--name", "--dry-run"} <= _complete(labctl, "labctl up --")


@pytest.mark.kernel
def test_labs_nodes_and_programs_that_are_there(labctl: Labctl, rootless_pair: str) -> None:
    lab = rootless_pair
    labctl("run", "-l", lab, "-d", "--name", "tailing", "client", "tail", "-f", "/dev/null")

    assert lab in _complete(labctl, f"labctl down {lab[:6]}")
    assert lab in _complete(labctl, f"labctl exec -l {lab[:6]}")
    assert {"client", "server"} <= _complete(labctl, f"labctl exec -l {lab} ")
    assert _complete(labctl, f"labctl shell -l {lab} cl") == {"client"}
    assert _complete(labctl, f"labctl logs -l {lab} ta") == {"tailing"}
    assert _complete(labctl, f"labctl stop -l {lab} ta") == {"tailing"}
    assert {"time_client", "time_server"} <= _complete(labctl, f"labctl run -l {lab} client time_")


def test_a_lab_that_is_not_up_offers_nothing(labctl: Labctl) -> None:
    assert _complete(labctl, "labctl exec -l no-such-lab cl") == set()
