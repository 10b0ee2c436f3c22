"""The guest: what it sees of the machine, what it gives back, and that it always ends."""

import os
from pathlib import Path

import pytest

from tests.uml import guest

pytestmark = [pytest.mark.uml, pytest.mark.slow]


def folders_of_guests() -> set[Path]:
    return set(Path("/tmp").glob(f"labctl-uml-{os.getpid()}-*"))


def processes_of(folder_name: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace")
        except OSError:
            continue  # gone meanwhile
        if folder_name in words:
            found.append(words)
    return found


def test_a_command_gives_its_output_and_exit_code_and_changes_nothing_outside(
    tmp_path: Path,
) -> None:
    cwd, results = tmp_path / "its folder", tmp_path / "results"
    cwd.mkdir()
    (cwd / "given").write_text("from the host\n")
    script = """
set -e
id -u; cat given; echo "$GREETING"
echo changed >given || echo "read-only"
touch /etc/labctl-was-here
echo kept >/run/host/results/kept
tc qdisc add dev lo root netem delay 1ms; tc qdisc show dev lo
exit 7
"""
    before = folders_of_guests()
    done = guest.run(
        ["sh", "-c", script],
        cwd=cwd,
        timeout_s=60,
        environment={"GREETING": "it's a $HOME"},
        results=results,
    )
    assert done.exit_code == 7, done.output
    assert done.output.splitlines()[:3] == ["0", "from the host", "it's a $HOME"]
    assert "qdisc netem" in done.output
    assert (results / "kept").read_text() == "kept\n"
    assert (cwd / "given").read_text() == "from the host\n"
    assert not Path("/etc/labctl-was-here").exists()
    assert folders_of_guests() <= before


def test_a_guest_that_does_not_end_is_ended_with_all_of_its_processes(tmp_path: Path) -> None:
    before = folders_of_guests()
    with pytest.raises(guest.GuestError, match="no end within 6 s") as caught:
        guest.run(["sh", "-c", "echo started; sleep 1000 & sleep 1000"], cwd=tmp_path, timeout_s=6)
    assert "started" in str(caught.value)
    assert folders_of_guests() <= before
    assert processes_of(f"labctl-uml-{os.getpid()}-") == []


def test_a_guest_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(guest.GuestError, match="the guest died") as caught:
        guest.run(["sh", "-c", "echo c >/proc/sysrq-trigger"], cwd=tmp_path, timeout_s=60)
    assert "panic" in str(caught.value)
