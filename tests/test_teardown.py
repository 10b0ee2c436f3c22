"""The end of a lab, wanted or not."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from labctl.kernel.ending import end_holder
from labctl.wait import until
from tests.owners import OWNERS, Owner, owner_of_kind

pytestmark = pytest.mark.kernel


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Owner:
    return owner_of_kind(request.param, request)


def _crash(owner: Owner, name: str) -> None:
    opened = owner.state(name).open_holder()
    assert opened is not None
    end_holder(opened[1])
    os.close(opened[1])
    assert until(lambda: not owner.state(name).is_up(), within_s=30)


def test_down_leaves_nothing_and_can_be_said_again(owner: Owner) -> None:
    with owner.lab() as name:
        first = owner.labctl("down", name)
        second = owner.labctl("down", name)

        assert (first.returncode, first.stdout) == (0, f"{name} is down\n")
        assert (second.returncode, second.stderr) == (0, f"{name} was not up\n")
        assert not owner.state(name).exists()
        assert not list(Path("/run/netns").glob(f"{name}*"))


def test_several_downs_at_once_all_succeed(owner: Owner) -> None:
    for _ in range(5):
        with owner.lab() as name:
            downs = [owner.start("down", name) for _ in range(3)]
            errors = [down.communicate(timeout=60)[1] for down in downs]

            assert [down.returncode for down in downs] == [0, 0, 0], errors
            assert not owner.state(name).exists()


def test_down_succeeds_while_commands_begin_and_end_inside(owner: Owner) -> None:
    for _ in range(5):
        with owner.lab() as name:
            execs = [owner.start("exec", "-l", name, "server", "--", "true") for _ in range(4)]
            done = owner.labctl("down", name)
            ended = [(it.communicate(timeout=60)[1], it.returncode) for it in execs]

            assert (done.returncode, done.stderr) == (0, "")
            assert all("labctl itself failed" not in errors for errors, _ in ended), ended
            assert not owner.state(name).exists()


def test_down_ends_a_visitor_that_was_stopped(owner: Owner) -> None:
    with owner.lab() as name:
        words = ("exec", "-l", name, "server", "--", "sh", "-c", "echo in; exec cat")
        with owner.start(*words, stdin=subprocess.PIPE) as visitor:
            assert visitor.stdout is not None
            visitor.stdout.readline()
            os.killpg(visitor.pid, signal.SIGSTOP)
            done = owner.labctl("down", name)
            _, errors = visitor.communicate(timeout=60)

        assert done.returncode == 0, done.stderr
        assert visitor.returncode == 3
        assert "went down" in errors


def test_down_ends_programs_that_ignore_every_signal_they_can(owner: Owner) -> None:
    script = "trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 1000; done"
    with owner.lab() as name:
        ready = ("--ready", "log ready", "--name", "stubborn")
        done = owner.labctl("run", "-l", name, "-d", *ready, "server", "sh", "-c", script)
        assert done.returncode == 0, done.stderr

        assert owner.labctl("down", name).returncode == 0


def test_down_clears_what_a_crash_left(owner: Owner) -> None:
    with owner.lab() as name:
        _crash(owner, name)

        assert owner.labctl("down", name).returncode == 0
        assert not owner.state(name).exists()
        assert not list(Path("/run/netns").glob(f"{name}*"))


def test_gc_clears_what_a_crash_left_and_no_lab_that_lives(owner: Owner) -> None:
    with owner.lab() as alive, owner.lab() as crashed:
        _crash(owner, crashed)
        gone = until(
            lambda: owner.labctl("gc").returncode == 0 and not owner.state(crashed).exists(),
            within_s=30,
        )

        assert gone
        assert not list(Path("/run/netns").glob(f"{crashed}*"))
        assert owner.labctl("exec", "-l", alive, "server", "true").returncode == 0


def test_gc_clears_folders_of_a_launcher_that_died_early(owner: Owner) -> None:
    with owner.name() as name, owner.lab():
        folder = Path(owner.state(name).path)
        folder.mkdir(mode=0o700)
        base = Path(owner.base).stat()
        os.chown(folder, base.st_uid, base.st_gid)
        gone = until(
            lambda: owner.labctl("gc").returncode == 0 and not folder.exists(), within_s=30
        )

    assert gone


def test_down_of_a_name_that_cannot_be_a_labs_is_an_error(owner: Owner) -> None:
    done = owner.labctl("down", "x" * 300)

    assert done.returncode == 2
    assert "cannot be the name of a lab" in done.stderr


def test_down_of_a_path_touches_no_folder_it_names(owner: Owner, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    done = owner.labctl("down", f"../../../../../../..{tmp_path}")

    assert done.returncode == 0
    assert (tmp_path / "kept").exists()
