"""Section 4 of the design, a sentence a test: whose a lab is, and how it ends."""

import json
import os
import stat
from pathlib import Path

import pytest

from labctl.kernel.ending import end_holder
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.owners import OWNERS, ROOTLESS_OWNERS, Owner, owner_of_kind

pytestmark = pytest.mark.kernel


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Owner:
    return owner_of_kind(request.param, request)


def _run(owner: Owner, name: str, program: str, *command: str, ready: str = "log ready") -> None:
    options = ("--ready", ready, "--name", program)
    done = owner.labctl("run", "-l", name, "-d", *options, "server", *command)
    assert done.returncode == 0, done.stderr


def _programs(owner: Owner, name: str) -> dict[str, dict[str, object]]:
    listed = json.loads(owner.labctl("ps", name, "--json").stdout)
    return {program["name"]: program for program in listed["programs"]}


def _await_end(owner: Owner, name: str, program: str) -> None:
    assert until(lambda: _programs(owner, name)[program]["state"] == "ended", LIMIT_S)


def _has_process(word: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                return True
        except OSError:
            continue  # it has ended meanwhile
    return False


def test_killing_the_holder_ends_every_program_and_its_daemons(owner: Owner) -> None:
    with owner.lab() as name:
        daemon = f"setsid tail -f /dev/null --pid=1 --retry {name}.daemon & "
        _run(
            owner, name, "server", "sh", "-c", f"{daemon} echo ready; exec cat /dev/zero >/dev/null"
        )
        assert until(lambda: _has_process(f"{name}.daemon"), LIMIT_S)
        opened = owner.state(name).open_holder()
        assert opened is not None
        end_holder(opened[1])
        os.close(opened[1])

        assert until(lambda: not _has_process(f"{name}.daemon"), LIMIT_S)


def test_ps_shows_each_program_with_its_state(owner: Owner) -> None:
    with owner.lab() as name:
        _run(owner, name, "runs", "sh", "-c", "echo ready; exec tail -f /dev/null")
        _run(owner, name, "fails", "sh", "-c", "echo ready; exit 3")
        _run(owner, name, "killed", "sh", "-c", "echo ready; kill -9 $$")
        for program in ("fails", "killed"):
            _await_end(owner, name, program)
        programs = _programs(owner, name)

    assert {key: (it["state"], it["exit_status"]) for key, it in programs.items()} == {
        "runs": ("running", None),
        "fails": ("ended", 3),
        "killed": ("ended", -9),
    }


def test_the_last_output_of_a_program_that_ended_is_kept(owner: Owner) -> None:
    with owner.lab() as name:
        _run(owner, name, "said", "sh", "-c", "echo ready; echo last words >&2")
        _await_end(owner, name, "said")

        assert owner.labctl("logs", "-l", name, "said").stdout == "ready\nlast words\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root mode")
def test_in_root_mode_the_machine_knows_the_namespaces_by_name(
    request: pytest.FixtureRequest,
) -> None:
    owner = owner_of_kind("root", request)
    with owner.lab() as name:
        names = {path.name for path in Path("/run/netns").glob(f"{name}-*")}

    assert names == {f"{name}-client1", f"{name}-server", f"{name}-client2"}


@pytest.mark.parametrize("kind", ROOTLESS_OWNERS)
def test_rootless_the_machine_knows_nothing_of_the_namespaces(
    kind: str, request: pytest.FixtureRequest
) -> None:
    owner = owner_of_kind(kind, request)
    with owner.lab() as name:
        assert not list(Path("/run/netns").glob(f"{name}*"))
        assert not list(Path("/etc/netns").glob(f"{name}*"))
        assert name not in Path("/proc/self/mountinfo").read_text()


def test_copies_of_a_lab_live_side_by_side(owner: Owner) -> None:
    with owner.lab() as one, owner.lab() as other:
        for name in (one, other):
            assert (
                owner.labctl("exec", "-l", name, "client1", "ping", "-c1", "server").returncode == 0
            )
        owner.labctl("down", one)

        assert owner.labctl("exec", "-l", other, "server", "true").returncode == 0


def test_the_folder_of_a_lab_is_its_owners_alone(owner: Owner) -> None:
    with owner.lab() as name:
        for path in (Path(owner.base), Path(owner.state(name).path)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_no_setting_of_the_machine_is_changed(owner: Owner) -> None:
    paths = [
        Path("/proc/sys/net/ipv4/ip_forward"),
        Path("/proc/sys/net/ipv4/conf/all/forwarding"),
        Path("/etc/hosts"),
    ]
    before = [path.read_bytes() for path in paths]
    with owner.lab():
        assert [path.read_bytes() for path in paths] == before


def test_a_lab_file_whose_path_has_a_newline_is_a_lab_like_any_other(owner: Owner) -> None:
    with owner.name() as name:
        folder = owner.home if owner.kind == "ordinary user" else Path("/tmp")
        file = folder / f"{name}\nstart 1.yaml"
        file.write_text("name: x\nnodes: [a]\n")
        file.chmod(0o644)
        done = owner.labctl("up", str(file), "--name", name, *owner.up_options)
        status = owner.labctl("status", "--json")
        down = owner.labctl("down", name)
        file.unlink()

    assert done.returncode == 0, done.stderr
    assert str(file) in {lab["source"] for lab in json.loads(status.stdout)["labs"]}
    assert down.stdout == f"{name} is down\n"
