"""What a malicious submission tries. Each attack is a program that tells what it got."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.wait import until
from tests.limits import LIMIT_S
from tests.ordinary_user import CHECKOUT
from tests.programs.sandboxes import MODE_NAMES, MODES, Grader, grader_of_mode

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", params=MODES, ids=MODE_NAMES)
def lab(request: pytest.FixtureRequest) -> Iterator[Grader]:
    with grader_of_mode(request) as one:
        yield one


# What it can read and write.

READ = """
import json, os, sys
found = []
for path in sys.argv[1:]:
    for way in (path, "/proc/1/root" + path, "/proc/self/cwd/../../../../../.." + path):
        try:
            os.stat(way)
            found.append(way)
        except OSError:
            pass
print(json.dumps(found))
"""


def test_nothing_of_the_machine_can_be_read(lab: Grader) -> None:
    other = lab.submission({"main.py": "print('an answer')"})
    (lab.folder / "results.json").write_text("{}")
    paths = [
        *map(str, (other, other / "main.py", lab.folder, lab.folder / "results.json")),
        *map(str, (CHECKOUT, *(CHECKOUT / "exercises").glob("*"), lab.owner.home)),
        lab.owner.state(lab.lab).path,
        *("/root", "/home", "/run", "/sys", "/var", "/boot", "/mnt", "/etc/shadow", "/etc/netns"),
    ]

    assert [path for path in paths if not Path(path).exists()] == []
    assert lab.run(READ, *paths).found == []


if os.geteuid() == 0:  # Nobody else can put something below /usr.

    def test_checks_below_usr_are_hidden(lab: Grader) -> None:
        with tempfile.TemporaryDirectory(dir="/usr/local/share") as name:
            Path(name).chmod(0o755)
            checks = Path(name, "exercises", "01-x", "checks")
            checks.mkdir(parents=True)
            environment = {**lab.owner.environment, "LABCTL_PATH": name}
            aware = lab._replace(owner=lab.owner._replace(environment=environment))

            assert lab.run(READ, str(checks)).found != []
            assert aware.run(READ, str(checks), str(checks.parent)).found == []


LOOK_AROUND = """
import json, os
found = {
    "root": sorted(os.listdir("/")),
    "passwd": [line.split(":")[0] for line in open("/etc/passwd")],
    "processes": [int(name) for name in os.listdir("/proc") if name.isdigit()],
    "said": "",
}
for folder, folders, files in os.walk("/proc"):
    if folder == "/proc":
        folders[:] = [name for name in folders if name.isdigit()]
    folders[:] = [name for name in folders if name not in ("task", "net", "map_files")]
    for name in files:
        if name in ("cmdline", "environ", "comm", "cgroup"):
            try:
                found["said"] += open(f"{folder}/{name}", errors="replace").read()
            except OSError:
                pass
print(json.dumps(found))
"""


def test_neither_processes_nor_accounts_of_the_machine_are_in_sight(lab: Grader) -> None:
    found = lab.run(LOOK_AROUND).found

    assert found["processes"] == [1, 2]
    assert found["passwd"] == ["root", "student", "nobody"]
    assert str(lab.folder) not in found["said"]
    assert lab.lab not in found["said"]
    assert "LABCTL" not in found["said"]
    assert set(found["root"]) <= {
        *("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin"),
        *("submission", "tmp", "usr", "work"),
    }


WRITE = """
import json, os, sys
found = []
for folder in sys.argv[1:]:
    try:
        open(f"{folder}/intruder", "w").close()
        found.append(folder)
    except OSError:
        pass
for path in ("/etc/hosts", "/etc/passwd", "/usr/bin/env", "/submission/main.py"):
    for act in (lambda: open(path, "a"), lambda: os.unlink(path), lambda: os.chmod(path, 0o777),
                lambda: os.utime(path)):
        try:
            act()
            found.append(path)
        except OSError:
            pass
for folder, folders, files in os.walk("/proc"):
    if folder == "/proc":
        folders[:] = [name for name in folders if not name.isdigit() and "self" not in name]
    for name in files:
        try:
            os.close(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_NONBLOCK))
            found.append(f"{folder}/{name}")
        except OSError:
            pass
print(json.dumps(found))
"""


def test_nothing_but_its_own_folders_can_be_written(lab: Grader) -> None:
    submission = lab.submission({"main.py": WRITE})
    before = Path("/etc/hosts").read_bytes()
    folders = (
        "/",
        "/dev",
        "/etc",
        "/proc",
        "/proc/sys",
        "/submission",
        "/usr",
        "/usr/local",
        "/opt",
    )
    ended = lab.run_in(submission, ("python3", "/submission/main.py", *folders, "/work", "/tmp"))

    assert ended.found == ["/work", "/tmp"]
    assert [path.name for path in submission.iterdir()] == ["main.py"]
    assert (submission / "main.py").read_text() == WRITE
    assert Path("/etc/hosts").read_bytes() == before


def test_a_link_in_the_submission_does_not_lead_to_the_machine(lab: Grader) -> None:
    secret = lab.folder / "secret"
    secret.write_text("the answer")
    submission = lab.submission({"main.py": READ})
    (submission / "link").symlink_to(secret)
    (submission / "folder").symlink_to(lab.folder)
    (submission / "shadow").symlink_to("/etc/shadow")
    names = ("link", "folder", "folder/secret", "shadow")
    command = ("python3", "/submission/main.py", *(f"/submission/{name}" for name in names))

    assert (submission / "link").read_text() == "the answer"
    assert lab.run_in(submission, command).found == []


def test_a_submission_that_is_a_link_itself_is_nothing_to_run(lab: Grader) -> None:
    submission = lab.submission({})
    (submission / "main.py").symlink_to(lab.folder / "run_sandboxed.py")
    ended = lab.run_in(submission, ("python3", "/submission/main.py"))

    assert ended.exit_status == 2
    assert "No such file" in ended.stderr


def test_what_one_program_leaves_another_does_not_find(lab: Grader) -> None:
    folders = ("/work", "/tmp", "/dev/shm")
    lab.run(WRITE, *folders)

    assert lab.run(READ, *(f"{folder}/intruder" for folder in folders)).found == []


# What it can reach of others.

KILL = """
import json, os, signal, sys
found = []
for pid in [int(word) for word in sys.argv[1:]]:
    for target in (pid, -pid):
        try:
            os.kill(target, signal.SIGKILL)
            found.append(target)
        except OSError:
            pass
print(json.dumps(found))
"""

KILL_ALL = """
import os, signal
if os.fork() == 0:
    os.kill(-1, signal.SIGKILL)  # all but pid 1 and itself
    os._exit(0)
os.wait()
"""


def test_no_process_outside_can_be_killed(lab: Grader) -> None:
    prefix = lab.owner.program[:-1] if lab.owner.kind == "ordinary user" else ()
    bystander = subprocess.Popen([*prefix, "sleep", "1000"], env=dict(lab.owner.environment))
    try:
        holder = lab.owner.holder_pid(lab.lab)
        pids = (bystander.pid, holder, os.getpid(), os.getppid())
        found = lab.run(KILL, *map(str, pids)).found
        suicide = lab.run(KILL_ALL).exit_status

        assert found == []
        assert suicide == -signal.SIGKILL
        assert bystander.poll() is None
        assert lab.owner.state(lab.lab).is_up()
    finally:
        bystander.kill()
        bystander.wait()


CONNECT = """
import json, socket, sys
found = []
for name in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect("\\0" + name.removeprefix("@") if name.startswith("@") else name)
            found.append(name)
        except OSError:
            pass
print(json.dumps(found))
"""


def test_sockets_of_the_machine_cannot_be_reached(lab: Grader) -> None:
    name = f"@{uuid.uuid4().hex}"
    with (
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as in_file,
    ):
        abstract.bind(name.replace("@", "\0"))
        abstract.listen()
        path = str(lab.folder / uuid.uuid4().hex[:8])
        in_file.bind(path)
        in_file.listen()
        control = lab.owner.state(lab.lab).file("control")
        for address in (name.replace("@", "\0"), path):
            with socket.socket(socket.AF_UNIX) as outside:
                outside.connect(address)

        assert lab.run(CONNECT, name, path, control).found == []


FAMILIES = """
import json, socket
found = []
for family in range(64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
            found.append(family)
        except OSError:
            pass
print(json.dumps(sorted(set(found))))
"""


def test_only_sockets_that_belong_to_the_node_can_be_made(lab: Grader) -> None:
    expected = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    if lab.grants_raw:
        expected.add(socket.AF_PACKET)

    assert set(lab.run(FAMILIES).found) <= expected
    assert expected - set(lab.run(FAMILIES).found) <= {socket.AF_INET6}  # where the kernel has none


PING = """
import json, socket, struct
found = {}
try:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(10)
        echo = struct.pack("!BBHHH", 8, 0, 0, 7, 1)
        sock.sendto(struct.pack("!BBHHH", 8, 0, 0xffff - 8 - 0x800 + 0, 7, 1), ("10.0.1.1", 0))
        found["icmp"] = sock.recv(2000)[20]
except OSError as error:
    found["icmp"] = error.strerror
try:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sock:
        sock.bind(("veth_c1", 3))
        found["packet"] = sock.send(bytes(60))
except OSError as error:
    found["packet"] = error.strerror
print(json.dumps(found))
"""


def test_raw_sockets_work_where_they_are_granted_and_nowhere_else(lab: Grader) -> None:
    refused = "Operation not permitted"
    expected = {"icmp": 0, "packet": 60} if lab.grants_raw else {"icmp": refused, "packet": refused}

    assert lab.run(PING).found == expected


CHANGE_THE_NETWORK = """
import json, subprocess
commands = (
    "ip link set veth_c1 down",
    "ip link add dummy7 type veth peer name dummy8",
    "ip address add 10.9.9.9/24 dev veth_c1",
    "ip address flush dev veth_c1",
    "ip route del default",
    "ip neigh flush all",
    "ip netns add x",
    "tc qdisc add dev veth_c1 root tbf rate 1kbit burst 1600 limit 1600",
    "nft add table inet x",
    "nft flush ruleset",
    "sysctl -w net.ipv4.ip_forward=1",
    "ethtool -K veth_c1 tx off",
)
found = []
for command in commands:
    try:
        if subprocess.run(command.split(), capture_output=True).returncode == 0:
            found.append(command)
    except FileNotFoundError:
        pass
print(json.dumps(found))
"""


def _network(lab: Grader) -> list[str]:
    commands = ("ip link", "ip -4 address", "ip route", "tc qdisc", "sysctl net.ipv4.ip_forward")
    return [
        lab.owner.labctl("exec", "-l", lab.lab, "client1", "--", *command.split()).stdout
        for command in commands
    ]


def test_the_network_cannot_be_changed(lab: Grader) -> None:
    # The kernel notes by and by that a link is up.
    assert until(lambda: " state UP " in _network(lab)[0], LIMIT_S)
    before = _network(lab)
    found = lab.run(CHANGE_THE_NETWORK).found

    # A flush of nothing succeeds.
    assert set(found) <= {"ip neigh flush all"}
    assert all(before)
    assert _network(lab) == before


INHERITED = """
import fcntl, json, os, sys
opened = sorted(map(int, os.listdir("/proc/self/fd")))
found = {"files": [fd for fd in opened if fd <= 2], "others": [], "terminal": ""}
for fd in opened:
    if fd > 2:
        try:
            found["others"].append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass  # the listing's own
found["kinds"] = sorted({os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in (0, 1, 2)})
try:
    fd = os.open("/dev/tty", os.O_RDWR)
    fcntl.ioctl(fd, 0x5412, b"x")  # TIOCSTI
    found["terminal"] = "typed"
except OSError as error:
    found["terminal"] = error.strerror
print(json.dumps(found))
"""


def test_it_inherits_neither_a_terminal_nor_files(lab: Grader) -> None:
    assert lab.run(INHERITED).found == {
        "files": [0, 1, 2],
        "others": [],
        "kinds": ["pipe"],
        "terminal": "No such device or address",
    }


# What it can ask of the kernel.


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that makes system calls and prints the error of each."""
    source = Path(__file__).with_name("forbidden_calls.c")
    program = tmp_path_factory.mktemp("calls") / "calls"
    subprocess.run(["cc", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


def _run_calls(lab: Grader, calls: Path, *words: str) -> tuple[int, str]:
    submission = lab.submission({})
    (submission / "calls").write_bytes(calls.read_bytes())
    (submission / "calls").chmod(0o755)
    ended = lab.run_in(submission, ("/submission/calls", *words))
    return ended.exit_status, ended.stdout


def test_forbidden_system_calls_are_refused(lab: Grader, calls: Path) -> None:
    status, output = _run_calls(lab, calls)
    found = json.loads(output)
    refused = {name for name, error in found.items() if error == "EPERM"}

    assert status == 0
    assert found.pop("clone3") == "ENOSYS"
    assert set(found) - refused == set()
    assert len(refused) > 40


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there are three ways to call")
@pytest.mark.parametrize("way", ["i386", "x32"])
def test_no_other_way_to_make_system_calls_is_open(lab: Grader, calls: Path, way: str) -> None:
    status, output = _run_calls(lab, calls, way)

    assert (status, output) == (-signal.SIGSYS, "")
