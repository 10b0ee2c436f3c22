"""What a sandbox is made of; tests/programs/test_sandbox_attacks.py says what it keeps in."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.kernel.confine import Recipe
from labctl.kernel.control import Control
from labctl.programs import interpreter
from labctl.programs.logs import read_log
from labctl.programs.sandbox import (
    MIB,
    Limits,
    Sandbox,
    exit_status_of,
    is_ambiguous,
    sandboxed,
    why_no_sandbox,
)
from tests.limits import LIMIT_S
from tests.owners import OWNERS, owner_of_kind
from tests.programs.sandboxes import Grader, grader


@pytest.fixture(scope="module", params=OWNERS)
def lab(request: pytest.FixtureRequest) -> Iterator[Grader]:
    with grader(owner_of_kind(request.param, request)) as one:
        yield one


@pytest.mark.parametrize(
    ("reported", "meant"),
    [(0, 0), (1, 1), (125, 125), (128, 128), (137, -9), (139, -11), (192, -64), (193, 193)],
)
def test_a_signal_is_told_from_an_exit(reported: int, meant: int) -> None:
    assert exit_status_of(reported) == meant


def test_a_sandbox_that_was_ended_has_the_status_of_its_end() -> None:
    assert exit_status_of(-signal.SIGKILL) == -signal.SIGKILL


def test_the_statuses_that_may_be_either_are_known() -> None:
    assert [status for status in range(256) if is_ambiguous(status)] == [*range(129, 193)]


@pytest.mark.parametrize("path", ["/no/such/folder", "here", "/etc/passwd"])
def test_a_submission_that_is_no_folder_is_an_error(path: str) -> None:
    with pytest.raises(LabError, match=f'there is no folder "{path}"'):
        sandboxed(["true"], Sandbox(path, is_rootless=False, uid=1))


def test_a_command_without_words_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no command"):
        sandboxed([], Sandbox(str(tmp_path), is_rootless=False, uid=1))


def test_a_submission_that_the_lab_does_not_see_is_an_error() -> None:
    with pytest.raises(LabError, match="cannot be seen from a rootless lab") as error:
        sandboxed(["true"], Sandbox("/run", is_rootless=True, uid=1))

    assert error.value.hint.startswith("copy the submission elsewhere")


def _options(sandbox: Sandbox) -> list[str]:
    _, recipe = sandboxed(["true"], sandbox)
    return list(recipe["options"])


def test_an_ordinary_users_program_gets_a_user_namespace(tmp_path: Path) -> None:
    argv, _ = sandboxed(["true"], Sandbox(str(tmp_path), is_rootless=True, uid=7))

    assert "--unshare-user" in _options(Sandbox(str(tmp_path), is_rootless=True, uid=7))
    assert not any("setpriv" in word for word in argv)


@pytest.mark.parametrize(
    ("is_rootless", "maps_uid"), [(False, False), (True, True)], ids=["root", "root, rootless"]
)
def test_where_there_are_other_users_the_program_is_one(
    tmp_path: Path, is_rootless: bool, maps_uid: bool
) -> None:
    sandbox = Sandbox(str(tmp_path), is_rootless=is_rootless, uid=7, maps_uid=maps_uid)
    argv, _ = sandboxed(["true"], sandbox)

    assert "--unshare-user" not in _options(sandbox)
    assert {"--reuid=7", "--regid=7", "--clear-groups"} <= set(argv)


def test_labctl_and_the_exercises_are_hidden_where_they_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "course" / "exercises").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(interpreter, "SYSTEM", "/no/such/python")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))
    monkeypatch.setenv("LABCTL_PATH", str(tmp_path / "course"))
    options = _options(Sandbox(str(tmp_path), is_rootless=True, uid=1))
    hidden = "/opt/python/course/exercises"
    place = options.index(hidden)

    assert options[place - 1 : place + 3] == ["--tmpfs", hidden, "--remount-ro", hidden]


def test_this_machine_can_make_sandboxes() -> None:
    assert why_no_sandbox() is None


# In real labs.


@pytest.mark.kernel
def test_what_it_is_made_of_does_not_reach_the_machine(lab: Grader) -> None:
    before = _mount_points()
    assert lab.run("print(len(open('/proc/self/mountinfo').readlines()))").found > 5

    assert _mount_points() - before == set()


def _mount_points() -> set[str]:
    """Return those of the machine, without the namespaces that other tests put in place.

    With the first one's name their folder itself becomes a mount.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        line.split()[4] for line in lines if not f"{line.split()[4]}/".startswith("/run/netns/")
    }


HELLO = """
import json, os, socket, sys
print(json.dumps({
    "cwd": os.getcwd(),
    "words": sys.argv[1:],
    "version": sys.version_info >= (3, 11),
    "name": socket.gethostbyname("server"),
    "mark": os.environ.get("SANDBOX_TEST"),
    "shell": os.system("true"),
}))
"""


@pytest.mark.kernel
def test_a_program_gets_its_words_its_environment_and_the_names_of_the_nodes(lab: Grader) -> None:
    ended = lab.run(HELLO, "a b", "--c")

    assert ended.stderr == ""
    assert ended.found == {
        "cwd": "/work",
        "words": ["a b", "--c"],
        "version": True,
        "name": "10.0.1.1",
        "mark": lab.mark.partition("=")[2],
        "shell": 0,
    }


SERVE = """
import json, os, socket, subprocess
with socket.create_server(("10.0.1.2", 8080)) as server:
    script = "import socket; socket.create_connection(('client1', 8080)).sendall(b'hello')"
    client = subprocess.Popen(["python3", "-c", script])
    with server.accept()[0] as peer:
        print(json.dumps(peer.makefile().read()))
    client.wait()
"""


@pytest.mark.kernel
def test_a_program_serves_in_its_node(lab: Grader) -> None:
    assert lab.run(SERVE).found == "hello"


@pytest.mark.kernel
def test_a_program_that_is_no_python_runs_and_can_be_built_before(lab: Grader) -> None:
    submission = lab.submission(
        {
            "hello.c": '#include <stdio.h>\nint main(void) { puts("hello from C"); return 7; }\n',
            "Makefile": "hello: hello.c\n\tcc -o hello hello.c\n",
        }
    )
    user = lab.uid if lab.has_own_user else lab.owner.home.stat().st_uid
    if os.geteuid() == 0:
        for path in (submission, *submission.iterdir()):
            os.chown(path, user, user)
    built = lab.run_in(submission, ("make", "-C", "/submission"), is_writable=True)
    ran = lab.run_in(submission, ("/submission/hello",))

    assert built.exit_status == 0, built.stderr
    assert (ran.exit_status, ran.stdout) == (7, "hello from C\n")


@pytest.mark.kernel
def test_a_program_that_is_not_there_fails_with_its_name(lab: Grader) -> None:
    ended = lab.run_in(lab.submission({}), ("/submission/nothing",))

    assert ended.exit_status == 127
    assert "/submission/nothing" in ended.stderr


@pytest.mark.kernel
def test_no_signal_is_ignored_that_the_holder_ignores(lab: Grader) -> None:
    """A C program that writes to a connection that has gone dies of SIGPIPE, as it does outside."""
    ended = lab.run_in(lab.submission({}), ("grep", "SigIgn", "/proc/self/status"))

    ignored = int(ended.stdout.split()[1], 16)
    assert not [n for n in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> (n - 1) & 1], ended


@pytest.mark.kernel
def test_an_interpreter_of_the_owners_works_from_another_place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = owner_of_kind(OWNERS[0], request)
    with grader(owner) as lab, tempfile.TemporaryDirectory(prefix="private-") as private:
        base = f"{private}/python"
        system = Path("/usr/bin/python3").resolve()
        Path(base, "bin").mkdir(parents=True)
        shutil.copy(system, Path(base, "bin"))
        Path(base, "lib").symlink_to("/usr/lib")
        monkeypatch.setattr(interpreter, "SYSTEM", "/no/such/python")
        monkeypatch.setattr(sys, "base_prefix", base)
        monkeypatch.setattr(sys, "executable", str(Path(base, "bin", system.name)))
        show = lab.submission({"main.py": "import sys; print(sys.executable, sys.prefix)"})
        sandbox = Sandbox(str(show), is_rootless=owner.is_rootless, uid=lab.uid)
        command, recipe = sandboxed(["python3", "/submission/main.py"], sandbox)

        assert _output(lab, command, recipe) == f"/opt/python/bin/{system.name} /opt/python\n"


def _output(lab: Grader, command: Sequence[str], recipe: Recipe) -> str:
    state = lab.owner.state(lab.lab)
    netns = state.netns("client1")
    assert netns is not None
    control = Control(state)
    control.start("once", "client1", netns, command, environment={}, cwd="/", recipe=recipe)
    control.wait("once", LIMIT_S)
    return read_log(state, "once").decode()


@pytest.mark.kernel
@pytest.mark.slow
def test_a_program_that_computes_without_end_is_ended_with_the_signal_that_says_so(
    lab: Grader,
) -> None:
    ended = lab.run("while True: pass", limits=Limits(cpu_s=1))

    assert ended.exit_status == -signal.SIGXCPU
    assert ended.reason == ""


@pytest.mark.kernel
def test_a_file_ends_at_its_limit(lab: Grader) -> None:
    write = "open('big', 'wb').write(bytes(2 << 20))"
    ended = lab.run(write, limits=Limits(file_bytes=MIB))

    assert "File too large" in ended.stderr
