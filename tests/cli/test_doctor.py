import json
import os
from pathlib import Path

import pytest

from labctl.cli import main
from labctl.kernel.netem_present import has_netem
from tests.kernel.broken_machines import run_python
from tests.ordinary_user import OrdinaryUser

pytestmark = pytest.mark.kernel

_STATUSES = {"ok", "failed", "missing", "not tried"}


def test_the_json_says_what_was_tried_and_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])

    said = json.loads(capsys.readouterr().out)
    assert said["format"] == 1
    assert said["mode"] == ("root" if os.geteuid() == 0 else "rootless")
    assert (code == 0) is said[said["mode"]]
    for probe in said["probes"]:
        assert list(probe) == ["name", "status", "detail", "fix"]
        assert probe["status"] in _STATUSES
        # Whatever did not work has a reason.
        assert probe["detail"] or probe["status"] == "ok"


def test_the_text_ends_with_the_answers(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])

    *_, rootless, root, bad_links = capsys.readouterr().out.splitlines()
    assert rootless == "rootless labs: yes"
    if os.geteuid() == 0:
        assert root == ("root labs: yes" if code == 0 else "root labs: no")
    else:
        assert root == 'root labs: not tried (needs root: sudo "$(command -v labctl)" doctor)'
    if has_netem():
        assert bad_links == "bad links: made by netem: the kernel has it"
    else:
        assert bad_links.startswith("bad links: made by labctl itself (wire): ")
        assert "netem" in bad_links


def test_a_failure_is_followed_by_the_line_that_mends_it(tmp_path: Path) -> None:
    done = run_python(
        *("-m", "labctl", "doctor"),
        breaking="echo 0 > /proc/sys/user/max_user_namespaces",
        runtime=tmp_path,
    )

    lines = done.stdout.splitlines()
    at = lines.index("FAIL  user namespace: user.max_user_namespaces is 0")
    assert lines[at + 1].startswith("      hint: sudo sysctl -w user.max_user_namespaces=15000")
    assert lines[at + 2] == '–     id map: needs "user namespace"'
    assert "rootless labs: no" in lines
    assert done.returncode == 3
    assert done.stderr == ""


def test_what_labs_can_do_without_is_a_warning(tmp_path: Path) -> None:
    done = run_python(
        *("-m", "labctl", "doctor"), breaking="mount -t tmpfs none /dev/net", runtime=tmp_path
    )

    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warn  tun: "))
    assert lines[at + 1].startswith("      hint: ")
    assert "rootless labs: yes" in lines
    assert done.returncode == 0


def test_the_hint_of_a_sysctl_says_how_long_it_lasts(tmp_path: Path) -> None:
    broken = run_python(
        *("-m", "labctl", "doctor"),
        breaking="echo 0 > /proc/sys/user/max_ipc_namespaces",
        runtime=tmp_path,
    )

    assert "lasts until the next boot" in broken.stdout


@pytest.mark.slow
def test_an_ordinary_user_gets_a_verdict_of_his_own(ordinary_user: OrdinaryUser) -> None:
    done = ordinary_user.run("labctl", "doctor", "--json")

    said = json.loads(done.stdout)
    root_probes = [probe for probe in said["probes"] if probe["name"].startswith("root: ")]
    assert (said["mode"], said["rootless"], said["root"]) == ("rootless", True, False)
    assert {probe["status"] for probe in root_probes} == {"not tried"}
    assert (done.returncode, done.stderr) == (0, "")
