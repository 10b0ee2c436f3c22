import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.kernel import state as states
from labctl.kernel.state import Holder, LabState, boot_id, open_process, start_time
from tests.file_size import largest_file
from tests.ordinary_user import OrdinaryUser


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    return LabState("lab", str(tmp_path))


def _holder(
    *, start: int | None = None, boot: str | None = None, source: str = "/labs/lab.yaml"
) -> Holder:
    """Return this process as a holder, as far as nothing else is said."""
    return Holder(
        pid=os.getpid(),
        start=start_time("self") if start is None else start,
        boot=boot_id() if boot is None else boot,
        mode="root",
        since=1.5,
        source=source,
    )


@pytest.mark.parametrize("name", ["", "../x", "a/b", "/", ".", "..", ".hidden", "a\0b", "x" * 300])
def test_a_name_that_is_a_path_or_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be the name of a lab"):
        LabState(name, str(tmp_path))


def test_creating_the_object_touches_nothing(lab: LabState, tmp_path: Path) -> None:
    assert not lab.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source", ["/a/lab.yaml", "/with space", "/two\nlines\nstart 7", "/l\u2028x\x0b", "/\udcff"]
)
def test_a_holder_comes_back_as_it_was_written(lab: LabState, source: str) -> None:
    Path(lab.path).mkdir()
    lab.write("holder", _holder(source=source).as_text())
    read = lab.holder()

    assert read is not None
    assert [getattr(read, name) for name in Holder.__slots__] == [
        getattr(_holder(source=source), name) for name in Holder.__slots__
    ]


def test_a_holder_that_lives_is_opened(lab: LabState) -> None:
    Path(lab.path).mkdir()
    lab.write("holder", _holder().as_text())
    opened = lab.open_holder()

    assert opened is not None
    os.close(opened[1])
    assert lab.is_up()


@pytest.mark.parametrize("another", [_holder(start=1), _holder(boot="another")])
def test_a_process_with_the_holders_pid_is_not_the_holder(lab: LabState, another: Holder) -> None:
    another.pid = os.getpid()
    Path(lab.path).mkdir()
    lab.write("holder", another.as_text())

    assert lab.open_holder() is None
    assert not lab.is_up()


def test_a_process_that_has_ended_is_not_opened() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        start = start_time(process.pid)
        opened = open_process(process.pid, start)
        assert process.stdin is not None
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        zombie = open_process(process.pid, start)

    assert opened is not None
    os.close(opened)
    assert zombie is None
    assert open_process(process.pid, start) is None


def test_the_start_time_is_found_whatever_a_program_is_called(tmp_path: Path) -> None:
    cat = shutil.which("cat")
    assert cat is not None
    program = tmp_path / "x) S 1 2 (3"
    shutil.copy(cat, program)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        started = start_time(process.pid)
        process.communicate()

    assert started >= start_time("self")


def test_a_lock_has_one_owner(lab: LabState) -> None:
    first = lab.acquire(create=True)
    second = lab.acquire(create=True)
    assert first is not None
    os.close(first)
    third = lab.acquire(create=False)
    assert third is not None
    os.close(third)

    assert second is None


def test_a_lab_without_folder_cannot_be_locked(lab: LabState) -> None:
    with pytest.raises(FileNotFoundError):
        lab.acquire(create=False)


def test_a_folder_that_a_launcher_left_before_its_lock_can_be_locked(lab: LabState) -> None:
    Path(lab.path).mkdir()
    lock = lab.acquire(create=False)

    assert lock is not None
    os.close(lock)


CONTENDER = """
import os, sys
from labctl.kernel.state import LabState
state, inside = LabState("lab", sys.argv[1]), sys.argv[1] + "/inside"
rounds = 0
while rounds < 100:
    lock = state.acquire(create=True)
    if lock is not None:
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        state.write("nodes", "a")
        os.unlink(inside)
        state.remove()
        os.close(lock)
        rounds += 1
"""


def test_the_lock_excludes_also_while_its_folder_comes_and_goes(
    lab: LabState, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CONTENDER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    contenders = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    errors = [contender.communicate(timeout=60)[1] for contender in contenders]

    assert errors == [""] * 3
    assert not lab.exists()


def test_what_was_written_is_read_and_nothing_else_is_there(lab: LabState) -> None:
    Path(lab.path).mkdir()
    lab.write("nodes", "client\tns_client\nserver\tlab-server\n")

    assert [path.name for path in Path(lab.path).iterdir()] == ["nodes"]
    assert lab.nodes() == {"client": "ns_client", "server": "lab-server"}
    assert lab.netns("server") == "lab-server"
    assert lab.netns("sever") is None


def test_a_write_that_does_not_fit_leaves_the_old_text(lab: LabState) -> None:
    Path(lab.path).mkdir()
    lab.write("nodes", "old")
    with largest_file(5), pytest.raises(OSError, match="File too large"):
        lab.write("nodes", "much too long")

    assert lab.read("nodes") == "old"


def test_a_claim_is_written_whole_or_fails(tmp_path: Path, lab: LabState) -> None:
    fd = os.open(tmp_path / "claims", os.O_WRONLY | os.O_CREAT)
    with largest_file(5), pytest.raises(OSError, match="No space left"):
        lab.claim(fd, "ns_client", 4026531840)
    os.close(fd)


@pytest.mark.parametrize("claims", ["ns_cli", "ns_client ", "ns_client 40265\nns_", "\n \n"])
def test_half_a_claim_does_not_keep_a_lab_from_being_cleared(lab: LabState, claims: str) -> None:
    lock = lab.acquire(create=True)
    assert lock is not None
    lab.write("claims", claims)
    lab.remove_names()
    lab.remove()
    os.close(lock)

    assert not lab.exists()


@pytest.fixture
def visitors(lab: LabState) -> Iterator[Path]:
    """Files come and go in the lab's folder, as ``labctl exec`` makes and removes them."""
    folder = Path(lab.file("joiners"))
    folder.mkdir(parents=True)
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            try:
                (folder / "7.7").touch()
                (folder / "7.7").unlink()
            except FileNotFoundError:
                pass

    thread = threading.Thread(target=come_and_go)
    thread.start()
    yield folder
    stop.set()
    thread.join()


def test_a_folder_is_removed_while_visitors_come_and_go(lab: LabState, visitors: Path) -> None:
    for _ in range(50):
        visitors.mkdir(parents=True, exist_ok=True)
        lock = lab.acquire(create=True)
        assert lock is not None
        lab.remove()
        os.close(lock)
        assert not lab.exists()


@pytest.mark.xdist_group("fallback-folder")
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is another's")
def test_a_folder_that_somebody_else_made_is_refused(ordinary_user: OrdinaryUser) -> None:
    uid = ordinary_user.run("id", "-u").stdout.strip()
    folder = Path(f"/tmp/labctl-{uid}")
    folder.mkdir(mode=0o700)
    try:
        done = ordinary_user.run("env", "-u", "XDG_RUNTIME_DIR", "labctl", "status")
    finally:
        folder.rmdir()

    assert done.returncode == 3
    assert f"error: {folder} is not a folder that only you can enter" in done.stderr


@pytest.mark.xdist_group("fallback-folder")
@pytest.mark.slow
def test_a_runtime_folder_of_somebody_else_is_not_used(ordinary_user: OrdinaryUser) -> None:
    script = "from labctl.kernel.state import base_directory; print(base_directory())"
    python = "$(dirname $(command -v labctl))/python"
    command = f'XDG_RUNTIME_DIR=/ "{python}" -c "{script}"'
    done = ordinary_user.run("sh", "-c", command)
    folder = Path(done.stdout.strip())

    assert done.returncode == 0, done.stderr
    assert folder.name in ("labctl", f"labctl-{folder.stat().st_uid}")
    assert folder.parent != Path("/")
    with suppress(OSError):  # whoever runs the tests may have a lab of their own there
        folder.rmdir()


def test_all_labs_are_in_order_and_files_beside_them_are_no_labs(tmp_path: Path) -> None:
    for name in ("beta", "alpha"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()

    assert [state.name for state in states.all_labs(str(tmp_path))] == ["alpha", "beta"]
