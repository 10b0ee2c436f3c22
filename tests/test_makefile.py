"""`make demo` and `make test` as a newcomer types them, in a fresh copy and without privileges."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkers import CHECKOUT
from tests.ordinary_user import OrdinaryUser

# One worker, so that the copy is installed once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("root-names")]


@pytest.fixture(scope="session")
def checkout(ordinary_user: OrdinaryUser) -> Path:
    """A copy of the checkout in the user's home, as a download without git leaves it."""
    folder = ordinary_user.home / "labctl"
    shutil.copytree(CHECKOUT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    if ordinary_user.prefix:
        owner = ordinary_user.home.stat()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    return folder


@pytest.mark.kernel
def test_the_demo_talks_through_a_lab_breaks_a_link_mends_it_and_takes_the_lab_down(
    checkout: Path, ordinary_user: OrdinaryUser
) -> None:
    first = ordinary_user.run("make", "-C", str(checkout), "demo", timeout_s=300)
    assert first.returncode == 0, first.stdout + first.stderr
    assert list(_told(first.stdout)) == [
        ("client1", True),
        ("client2", True),
        "labctl impair -l two_clients client2 loss 100%",
        ("client2", False),
        ("client1", True),
        "labctl impair -l two_clients client2 --clear",
        ("client2", True),
    ]
    assert "error: no answer\n" in first.stderr
    assert json.loads(ordinary_user.run("labctl", "status", "--json").stdout)["labs"] == []

    again = ordinary_user.run("make", "-C", str(checkout), "demo", timeout_s=60)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "installing" in first.stdout
    assert "installing" not in again.stdout


def _told(shown: str) -> Iterator[tuple[str, bool] | str]:
    """Yield each change of a link, and each client that asks for the time with whether it got it."""
    for command in shown.split("\n$ ")[1:]:
        words = command.split("\n")[0].split()
        if "impair" in words:
            yield " ".join(words)
        elif "time_client" in words:
            yield words[words.index("time_client") - 1], "\ntime seq=" in command


@pytest.mark.kernel
def test_an_interrupted_demo_takes_its_lab_down(
    checkout: Path, ordinary_user: OrdinaryUser
) -> None:
    lines = []
    with subprocess.Popen(
        ordinary_user.command("make", "-C", str(checkout), "demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ordinary_user.home,
        env=ordinary_user.environment,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("$ labctl ping"):
                os.killpg(demo.pid, signal.SIGINT)

    assert demo.returncode != 0
    assert lines.count("$ labctl down two_clients\n") == 1
    assert json.loads(ordinary_user.run("labctl", "status", "--json").stdout)["labs"] == []


def test_what_may_not_be_installed_is_named_with_its_command(
    checkout: Path, ordinary_user: OrdinaryUser
) -> None:
    # Somebody for whom sudo would ask for a password.
    sudo = checkout / "no-sudo" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text("#!/bin/sh\nexit 1\n")
    sudo.chmod(0o755)
    path = f"PATH={sudo.parent}:{ordinary_user.environment['PATH']}"
    make = ["make", "-C", str(checkout), "--assume-old=.venv/test-ready", "test"]
    programs = "TEST_PROGRAMS=sh:dash no-such-program:its-package"

    done = ordinary_user.run("env", path, *make, programs)

    assert done.returncode != 0
    assert "error: the tests need packages that are not installed: its-package\n" in done.stderr
    assert "hint: sudo apt-get update && sudo apt-get install" in done.stderr


def test_a_python_that_is_too_old_is_named(checkout: Path, ordinary_user: OrdinaryUser) -> None:
    old = checkout / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)

    done = ordinary_user.run(
        "make", "-C", str(checkout), "--always-make", ".venv/bin/python", f"PYTHON={old}"
    )

    assert done.returncode != 0
    assert f"error: labctl needs Python 3.11 or newer, and {old} is Python 3.9.2" in done.stderr
