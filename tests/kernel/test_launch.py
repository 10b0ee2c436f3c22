"""Building a lab, and what stops it in the middle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.wait import until
from tests.limits import LIMIT_S
from tests.owners import OWNERS, Owner, owner_of_kind

pytestmark = pytest.mark.kernel

NEVER_READY = """
name: slow
nodes: [client, server]
links:
  - endpoints: [client, server]
    ipv4: 10.0.0.0/24
programs:
  silent:
    node: server
    command: tail -f /dev/null
    ready: log something
    ready_within: 60s
"""

BAD_SYSCTL = """
name: bad
nodes:
  client: {sysctls: {net.ipv4.no_such_setting: 1}}
"""


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Owner:
    return owner_of_kind(request.param, request)


def _is_nothing_left(owner: Owner, name: str) -> bool:
    return not owner.state(name).exists() and not list(Path("/run/netns").glob(f"{name}*"))


def _lab_file(owner: Owner, name: str, text: str) -> str:
    """Write a lab file where its owner can read it."""
    path = owner.home / f"{name}.yaml" if owner.kind == "ordinary user" else Path("/tmp", name)
    path = path.with_suffix(".yaml")
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def test_a_step_that_the_kernel_refuses_is_named_and_all_before_it_undone(owner: Owner) -> None:
    with owner.name() as name:
        file = _lab_file(owner, name, BAD_SYSCTL)
        done = owner.labctl("up", file, "--name", name, *owner.up_options)
        Path(file).unlink()

        assert done.returncode == 3
        assert "error: the kernel refused `ip netns exec" in done.stderr
        assert "net.ipv4.no_such_setting" in done.stderr
        assert "No such file or directory" in done.stderr
        assert "hint: " in done.stderr
        assert _is_nothing_left(owner, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="names in /run/netns are for root")
def test_a_name_that_is_taken_is_refused_with_its_owner(request: pytest.FixtureRequest) -> None:
    owner = owner_of_kind("root", request)
    with owner.lab() as name, owner.name() as other:
        file = _lab_file(owner, other, f"name: {other}\nnodes: {{a: {{netns: {name}-server}}}}\n")
        done = owner.labctl("up", file)
        Path(file).unlink()

        assert done.returncode == 2
        assert f'the namespace name "{name}-server" is taken by the lab "{name}"' in done.stderr
        assert f"labctl down {name}" in done.stderr
        assert _is_nothing_left(owner, other)
        assert owner.labctl("exec", "-l", name, "server", "true").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="names in /run/netns are for root")
def test_a_name_that_somebody_else_took_is_refused_and_left(
    request: pytest.FixtureRequest,
) -> None:
    owner = owner_of_kind("root", request)
    with owner.name() as name:
        subprocess.run(["ip", "netns", "add", f"{name}-client2"], check=True)
        try:
            done = owner.labctl("up", "two_clients", "--name", name)
            names = [path.name for path in Path("/run/netns").glob(f"{name}*")]
        finally:
            subprocess.run(["ip", "netns", "del", f"{name}-client2"], check=True)

    assert done.returncode == 2
    assert "is taken, and not by a lab of labctl's" in done.stderr
    assert names == [f"{name}-client2"]


def test_no_file_that_labctl_was_started_with_stays_open(owner: Owner) -> None:
    with owner.name() as name:
        read_end, write_end = os.pipe()
        done = subprocess.run(
            [*owner.program, "up", "two_clients", "--name", name, *owner.up_options],
            capture_output=True,
            check=False,
            cwd=owner.home,
            env=dict(owner.environment),
            pass_fds=[write_end],
        )
        os.close(write_end)
        end = os.read(read_end, 1)
        os.close(read_end)

    assert done.returncode == 0
    assert end == b""


def _start_never_ready(owner: Owner, name: str) -> tuple[subprocess.Popen[str], str]:
    file = _lab_file(owner, name, NEVER_READY)
    process = owner.start("up", file, "--name", name, *owner.up_options)
    # The program has its log from the moment of its start.
    started = until(lambda: Path(owner.state(name).file("logs/silent")).exists(), LIMIT_S)
    assert started, process.communicate(timeout=5)
    return process, file


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_lab_whose_launcher_ends_before_the_commit_ends_too(owner: Owner, number: int) -> None:
    with owner.name() as name:
        process, file = _start_never_ready(owner, name)
        with process:
            process.send_signal(number)
            process.communicate(timeout=60)
        Path(file).unlink()
        state = owner.state(name)
        ended = until(lambda: not state.is_up(), LIMIT_S)
        if number != signal.SIGINT:
            # Its folder is for `labctl gc`, or the next `up`.
            until(lambda: owner.labctl("gc").returncode == 0 and not state.exists(), LIMIT_S)

        assert ended
        assert _is_nothing_left(owner, name)


INTERRUPTED_WHILE_IT_FORKS = """
import os, signal, sys
from labctl.cli import run_and_exit

launcher = os.getpid()
os.register_at_fork(before=lambda: os.getpid() == launcher and os.kill(launcher, signal.SIGINT))
sys.argv = ["labctl", "up", "two_clients", "--name", sys.argv[1]]
run_and_exit()
"""


def test_an_interrupt_during_the_fork_is_not_lost(request: pytest.FixtureRequest) -> None:
    owner = owner_of_kind(OWNERS[0], request)
    with owner.name() as name:
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED_WHILE_IT_FORKS, name],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
            env=dict(owner.environment),
            timeout=LIMIT_S,
        )

        assert done.returncode == 130, done.stderr
        assert _is_nothing_left(owner, name)


def test_down_ends_a_lab_that_is_being_built(owner: Owner) -> None:
    with owner.name() as name:
        process, file = _start_never_ready(owner, name)
        with process:
            done = owner.labctl("down", name)
            _, errors = process.communicate(timeout=60)
        Path(file).unlink()

        assert done.returncode == 0, done.stderr
        assert process.returncode == 3
        assert errors.startswith("error: ")
        assert "internal" not in errors
        assert "Traceback" not in errors
        assert _is_nothing_left(owner, name)


COMMIT_TO_NOBODY = """
import os
from labctl.errors import LabError
from labctl.kernel.launch import Launched, commit
read_end, write_end = os.pipe()
os.close(read_end)
try:
    commit(Launched(write_end, 0.0))
except LabError as error:
    print(error.exit_code, error)
"""


def test_a_holder_that_ended_before_the_commit_is_an_error_for_the_user() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMIT_TO_NOBODY],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout == "3 the lab's holder ended while it built the lab\n"


@pytest.mark.slow
def test_a_launcher_that_was_stopped_is_named_by_down_and_leaves_nothing_once_continued(
    owner: Owner,
) -> None:
    with owner.name() as name:
        process, file = _start_never_ready(owner, name)
        with process:
            process.send_signal(signal.SIGSTOP)
            done = owner.labctl("down", name)
            process.send_signal(signal.SIGCONT)
            process.communicate(timeout=60)
        Path(file).unlink()

        assert done.returncode == 3
        assert "is being built or taken down by another labctl" in done.stderr
        assert process.returncode == 3
        assert _is_nothing_left(owner, name)
