"""What people get wrong: one clear error each, exit code 2, and nothing built."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import MODES, Labctl, unused_name

GOOD = """\
name: mine
nodes:
  client:
  server:
links:
  - endpoints: ["client:eth0", "server:eth0"]
    ipv4: [10.0.0.1/24, 10.0.0.2/24]
"""

SERVER = "programs:\n  echo: {node: server, command: 'COMMAND', ready: READY}\n"


def _program(command: str, ready: str = "log ready", node: str = "server") -> str:
    program = SERVER.replace("COMMAND", command).replace("READY", ready)
    return GOOD + program.replace("node: server", f"node: {node}")


CASES = {
    "not YAML": ("nodes: {client: [}\n", 1, "this is not YAML", "bracket"),
    "a text": ("hello\n", 1, "a lab file is a mapping", "`nodes:`"),
    "an empty file": ("", 1, "the file is empty", "`nodes:`"),
    "a wrong type": (
        GOOD.replace("nodes:\n  client:\n  server:", "nodes: 7"),
        2,
        "`nodes` must be a mapping of node names",
        "",
    ),
    "an unknown key": (
        GOOD.replace("server:\n", "server: {knid: router}\n"),
        4,
        'unknown key "knid" in node "server"',
        'did you mean "kind"?',
    ),
    "an unknown key at the top": (
        f"{GOOD}prgrams: {{}}\n",
        8,
        'unknown key "prgrams" in the lab',
        'did you mean "programs"?',
    ),
    "an unknown node": (
        GOOD.replace('"server:eth0"', '"sever:eth0"'),
        6,
        '"sever:eth0" names a node that does not exist',
        'did you mean "server"?',
    ),
    "the same interface twice": (
        GOOD + '  - endpoints: ["client:eth0", "server:eth1"]\n',
        8,
        'node "client" has a second interface "eth0"; the first is in line 6',
        "another interface name",
    ),
    "a long name": (
        GOOD.replace("client:eth0", "client:interface_of_client"),
        6,
        "an interface name has at most 15 bytes, this one 19",
        "eth0, eth1",
    ),
    "a bad address": (
        GOOD.replace("10.0.0.1/", "10.0.0.256/"),
        7,
        '"10.0.0.256/24" is not an IPv4 address',
        "write it as",
    ),
    "a bad prefix": (GOOD.replace(".1/24", ".1/33"), 7, "not a number from 1 to 32", "write it as"),
    "no prefix": (GOOD.replace(".1/24", ".1"), 7, '"10.0.0.1" has no prefix', "write it as"),
    "one address twice": (
        GOOD.replace("10.0.0.2/24", "10.0.0.1/24"),
        7,
        "server:eth0 has the address 10.0.0.1 of client:eth0",
        "belongs to one interface",
    ),
    "a gateway elsewhere": (
        GOOD.replace("client:\n", "client: {gateway: 10.0.7.1}\n", 1),
        3,
        'the gateway "10.0.7.1" is outside the subnets of node "client"',
        "they are: 10.0.0.0/24",
    ),
    "a program in no node": (
        _program("true", node="sever"),
        9,
        'a node that does not exist, "sever"',
        'did you mean "server"?',
    ),
    "nothing to wait for": (
        _program("true", "listenin udp/80"),
        9,
        '"listenin udp/80" is not something to wait for',
        "listening udp/PORT",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_in_a_lab_file(labctl: Labctl, case: str) -> None:
    text, line, problem, hint = CASES[case]
    name = unused_name()
    done = labctl("up", labctl.write("mine.yaml", text), "--name", name)

    assert done.code == 2
    assert done.out == ""
    assert done.err.count("error: ") == 1
    assert done.err.startswith(f"error: ./mine.yaml:{line}: ")
    assert problem in done.err
    assert not hint or hint in done.err.partition("  hint: ")[2]
    _nothing_is_left(labctl, name)


def _nothing_is_left(labctl: Labctl, name: str) -> None:
    assert not labctl.is_up(name)
    assert not list(Path("/run/netns").glob(f"{name}*"))


TEMPLATE = "name: mine\nnodes:\n{% for n in range(clients) %}\n  client{{ n }}:\n{% endfor %}\n"


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        ([], 'the lab needs a value for its parameter "clients"', "add -p clients=VALUE"),
        (
            ["-p", "clients=2", "-p", "clinets=3"],
            'the lab has no parameter "clinets"',
            "clients",
        ),
        (["-p", "clients"], '"-p clients" sets nothing', "write it as -p NAME=VALUE"),
        (["-p", "clients=2", "--name", "a b"], '"a b" cannot name a lab', "letters, digits"),
    ],
)
def test_a_mistake_in_the_parameters(
    labctl: Labctl, options: list[str], problem: str, hint: str
) -> None:
    done = labctl("up", labctl.write("mine.yaml.j2", TEMPLATE), *options)

    assert done.code == 2
    assert done.err.count("error: ") == 1
    assert problem in done.err
    assert hint in done.err.partition("  hint: ")[2]


@pytest.mark.parametrize("verb", ["up", "explain", "graph"])
def test_a_lab_that_does_not_exist(labctl: Labctl, verb: str) -> None:
    done = labctl(verb, "two_clents")

    assert done.code == 2
    assert done.err.startswith('error: there is no lab "two_clents"\n  hint: did you mean ')
    assert '"two_clients"' in done.err


@pytest.mark.parametrize(
    "words",
    [
        "exec -l NAME client true",
        "shell -l NAME client",
        "run -l NAME client true",
        "logs -l NAME program",
        "stop -l NAME program",
        "ps NAME",
        "ping NAME",
        "status NAME",
    ],
)
def test_a_lab_that_is_not_up(labctl: Labctl, words: str) -> None:
    name = unused_name()
    done = labctl(*words.replace("NAME", name).split())

    assert done.code == 2
    assert f'error: lab "{name}" is not up' in done.err
    assert "  hint: " in done.err


@pytest.mark.kernel
def test_a_lab_that_is_up_already(labctl: Labctl, pair: str) -> None:
    done = labctl("up", "pair", "--name", pair)

    assert done.code == 2
    assert done.err.startswith(f'error: the lab "{pair}" is up already\n')
    assert f"labctl down {pair}" in done.err
    assert "--name OTHER" in done.err
    assert labctl.is_up(pair)


@pytest.mark.kernel
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode == "--root"])
def test_a_namespace_name_that_another_lab_has(labctl: Labctl, mode: str) -> None:
    taken, name = unused_name(), unused_name()
    text = GOOD.replace("client:\n", f"client: {{netns: {taken}}}\n", 1)
    first = labctl.write("first.yaml", text.replace("mine", f"{name}-1"))
    second = labctl.write("second.yaml", text.replace("mine", f"{name}-2"))
    assert labctl("up", first, mode).code == 0
    try:
        done = labctl("up", second, mode)
        assert done.code == 2
        assert f'the namespace name "{taken}" is taken by the lab "{name}-1"' in done.err
        assert f"labctl down {name}-1" in done.err
        assert not labctl.is_up(f"{name}-2")
        assert labctl("exec", "-l", f"{name}-1", "client", "true").code == 0
    finally:
        labctl("down", first)


@pytest.mark.kernel
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode == "--root"])
def test_a_namespace_name_that_somebody_else_has(labctl: Labctl, mode: str) -> None:
    name = unused_name()
    subprocess.run(["ip", "netns", "add", f"{name}-server"], check=True)
    try:
        done = labctl("up", "pair", mode, "--name", name)
        assert done.code == 2
        assert f'"{name}-server" is taken, and not by a lab of labctl' in done.err
        assert "hint: " in done.err
        assert not labctl.is_up(name)
        assert Path(f"/run/netns/{name}-server").exists()
        assert not Path(f"/run/netns/{name}-client").exists()
    finally:
        subprocess.run(["ip", "netns", "del", f"{name}-server"], check=True)


@pytest.mark.kernel
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("command", "ready", "problem", "output"),
    [
        ("no_such_program", "log ready", 'there is no program "no_such_program"', ""),
        (
            'sh -c "echo cannot bind; exit 1"',
            "listening udp/80",
            "ended with exit status 1 before it was ready (listening udp/80)",
            "  | cannot bind\n",
        ),
        (
            "tail -f /dev/null, ready_within: 0.3",
            "log never",
            "was not ready (log never) within 0.3 s, and was stopped",
            "",
        ),
    ],
    ids=["not there", "ends", "never ready"],
)
def test_a_program_that_does_not_get_ready(
    labctl: Labctl, mode: str, command: str, ready: str, problem: str, output: str
) -> None:
    name = unused_name()
    command, comma, rest = command.partition(", ready_within")
    text = _program(command, f"{ready}{comma}{rest}")
    done = labctl("up", labctl.write("mine.yaml", text), mode, "--name", name)

    assert done.code == 2
    assert problem in done.err
    assert output in done.err
    _nothing_is_left(labctl, name)


@pytest.mark.kernel
def test_a_machine_without_user_namespaces_is_at_fault(labctl: Labctl) -> None:
    forbid = 'mount -t tmpfs tmpfs /run && echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urmn", "sh", "-c", forbid, "sh", *labctl.command, "up", "pair", "--rootless"],
        capture_output=True,
        text=True,
        check=False,
        cwd=labctl.folder,
        env=labctl.environment,
    )

    assert done.returncode == 3
    assert done.stderr.startswith("error: this machine does not let ")
    assert "  hint: " in done.stderr
    assert "Traceback" not in done.stderr
