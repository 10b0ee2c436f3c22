"""Labs that are bad from the start, because their file says so."""

import json
import subprocess
from pathlib import Path

import pytest

from labctl.impairing import Impairer
from labctl.lab import running_lab
from labctl.topology.copies import as_copy
from labctl.wait import until
from tests.cli.commands import MODES, Labctl
from tests.limits import LIMIT_S
from tests.owners import unique_name
from tests.topology.lab_files import topology_of, two_hosts

pytestmark = pytest.mark.kernel

LAB = """\
name: bad
nodes: [client, server]
links:
  - endpoints: [client, server]
    ipv4: [10.0.0.1/24, 10.0.0.2/24]
    impair: {client: delay 1ms, server: delay 2ms limit 99}
rules:
  seed: 7
  client->server:
    - drop: {match: "icmp[icmptype] == icmp-echo", packets: [1]}
"""

PINGING = """\
programs:
  pinging:
    node: client
    command: ping -c 3 -i 0.2 -W 30 server
    ready: log icmp_seq=2
"""

ONE_PING = ("ping", "-c", "1", "server", "-W")
"""The seconds to wait for the answer are to follow."""


@pytest.fixture
def labctl(tmp_path: Path) -> Labctl:
    return Labctl(tmp_path)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    option: str = request.param
    return option


def test_links_are_bad_before_the_first_program_starts(labctl: Labctl, mode: str) -> None:
    path = labctl.write("bad.yaml", LAB + PINGING)
    with labctl.lab(path, mode) as name:
        said = labctl("logs", "-l", name, "pinging").out
        shown = labctl.json("impair", "-l", name, "--show")["impairments"]

    assert "icmp_seq=2 " in said
    assert "icmp_seq=1 " not in said
    there, back = sorted(shown, key=lambda each: str(each["direction"]))
    assert (there["direction"], there["words"]) == ("client:eth0->server:eth0", ["delay", "1ms"])
    assert back["words"] == ["limit", "99", "delay", "2ms"]
    assert [(rule["fired"], rule["completed"]) for rule in there["rules"]] == [(1, 1)]


IPV6_AND_DEAF = """\
name: deaf
nodes: [client, server]
links:
  - {endpoints: [client, server], ipv6: "fd00::/64", impair: loss 100%}
"""


def test_not_even_what_the_kernel_sends_by_itself_passes_before_links_are_bad(
    labctl: Labctl, mode: str
) -> None:
    path = labctl.write("deaf.yaml", IPV6_AND_DEAF)
    with labctl.lab(path, mode, "--impairments", "wire") as name:
        # Multicast reports and router solicitations, as soon as there is a carrier.
        assert until(lambda: all(lost > 0 for lost in _lost(labctl, name)), within_s=LIMIT_S)
        for node in ("client", "server"):
            said = labctl("exec", "-l", name, node, "--", *_RECEIVED)
            assert said.out == "0\n"


_RECEIVED = ("cat", "/sys/class/net/eth0/statistics/rx_packets")


def _lost(labctl: Labctl, name: str) -> list[int]:
    shown = labctl.json("impair", "-l", name, "--show")["impairments"]
    return [each["counters"]["lost"] for each in shown]


def test_up_says_where_to_look_only_if_links_are_bad(labctl: Labctl) -> None:
    for text, is_bad in ((LAB, True), (two_hosts(), False)):
        name = unique_name()
        path = labctl.write("lab.yaml", text)
        try:
            said = labctl("up", path, "--name", name, "--rootless").out
        finally:
            labctl("down", name)
        assert ("labctl impair --show" in said) is is_bad


def test_what_the_file_says_can_be_changed_and_cleared(labctl: Labctl, mode: str) -> None:
    path = labctl.write("bad.yaml", LAB)
    with labctl.lab(path, mode) as name:
        assert labctl("impair", "-l", name, "client", "loss", "100%").code == 0
        assert labctl("exec", "-l", name, "client", "--", *ONE_PING, "1").code == 1
        assert labctl("impair", "-l", name, "--clear").code == 0
        assert labctl.json("impair", "-l", name, "--show")["impairments"] == []
        assert labctl("exec", "-l", name, "client", "--", *ONE_PING, "20").code == 0


def test_a_filter_that_does_not_parse_is_said_at_its_line_before_anything_is_built(
    labctl: Labctl, mode: str
) -> None:
    path = labctl.write("bad.yaml", LAB.replace("icmp-echo", "icmp-ecco") + PINGING)
    name = unique_name()
    done = labctl("up", path, "--name", name, mode)

    assert done.code == 2
    assert f"error: {path}:10: " in done.err
    assert not labctl.is_up(name)


def test_what_the_wire_cannot_do_is_refused_before_anything_is_built(
    labctl: Labctl, mode: str
) -> None:
    path = labctl.write("fast.yaml", two_hosts("impair: rate 10gbit"))
    name = unique_name()
    done = labctl("up", path, "--name", name, mode, "--impairments", "wire")

    assert done.code == 2
    for end in ("client:eth0", "server:eth0"):
        assert f"error: {end}: the wire cannot carry a rate of 10gbit" in done.err
    assert not labctl.is_up(name)


def test_nothing_is_left_where_a_program_does_not_get_ready_on_bad_links(
    labctl: Labctl, mode: str
) -> None:
    never = PINGING.replace("log icmp_seq=2", "log never\n    ready_within: 500ms")
    path = labctl.write("bad.yaml", LAB + never)
    name = unique_name()
    done = labctl("up", path, "--name", name, mode)

    assert done.code != 0
    assert "pinging" in done.err
    assert not labctl.is_up(name)


def test_a_lab_from_python_is_as_bad() -> None:
    topology = topology_of(two_hosts("ipv4: 10.0.0.0/24, impair: {client: loss 30% 10%}"))
    with running_lab(as_copy(topology, unique_name()), is_rootless=True, impairments="wire") as lab:
        [shown] = Impairer(lab).show()

    assert shown["direction"] == "client:eth0->server:eth0"
    assert shown["words"] == ["loss", "30%", "10%"]


def test_the_lab_that_is_to_show_it_is_bad(labctl: Labctl) -> None:
    with labctl.lab("lossy", "--rootless") as name:
        shown = labctl.json("impair", "-l", name, "--show")["impairments"]

    assert [" ".join(each["words"]) for each in shown] == [
        "delay 20ms loss 5%",
        "delay 20ms rate 1mbit",
    ]


def test_explain_tells_what_the_emulator_will_do(labctl: Labctl) -> None:
    path = labctl.write("bad.yaml", LAB)
    script = labctl("explain", path).out
    checked = subprocess.run(["sh", "-n"], input=script, text=True, check=False)
    steps = json.loads(labctl("explain", path, "--json").out)["steps"]

    assert "# labctl's emulator, client:eth0->server:eth0: delay 1ms\n#   rule 1: drop" in script
    assert checked.returncode == 0
    assert [step["words"] for step in steps if step["step"] == "ImpairOnWire"] == [
        "delay 1ms",
        "limit 99 delay 2ms",
    ]
