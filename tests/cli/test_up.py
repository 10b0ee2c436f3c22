import json
from pathlib import Path

import pytest

from labctl.kernel.netem_present import has_netem
from tests.cli.commands import Labctl, unused_name

WITH_PROGRAM = """\
name: mine
nodes: [client, server]
links:
  - {endpoints: [client, server], ipv4: 10.0.0.0/24}
programs:
  echo:
    node: server
    command: sh -c "echo ready to serve; exec tail -f /dev/null"
    ready: log ready to serve
"""


@pytest.mark.kernel
def test_up_says_what_is_there_and_what_can_be_done(labctl: Labctl) -> None:
    name = unused_name()
    try:
        done = labctl("up", "pair", "--rootless", "--name", name)
    finally:
        labctl("down", name)

    assert done.code == 0
    assert done.out.startswith(f"{name} is up (rootless): client server\n")
    assert f"labctl down {name}" in done.out
    assert done.err == ""


@pytest.mark.kernel
def test_up_speaks_json(labctl: Labctl) -> None:
    name = unused_name()
    lab = labctl.write("mine.yaml", WITH_PROGRAM)
    try:
        said = labctl.json("up", lab, "--rootless", "--name", name)
    finally:
        labctl("down", name)

    assert said["name"] == name
    assert said["mode"] == "rootless"
    assert list(said["nodes"]) == ["client", "server"]
    assert said["programs"] == ["echo"]


@pytest.mark.kernel
def test_the_labs_programs_are_ready_when_up_returns(labctl: Labctl) -> None:
    with labctl.lab(labctl.write("mine.yaml", WITH_PROGRAM), "--rootless") as name:
        assert labctl("logs", "-l", name, "echo").out == "ready to serve\n"


BAD = """\
name: bad
nodes: [client, server, other]
links:
  - {endpoints: [client, server], ipv4: 10.0.0.0/24, impair: loss 20% 50%}
  - endpoints: ["client:eth1", "other:eth0"]
    ipv4: 10.0.1.0/24
    impair: {client: loss 20% 50%, other: delay 2ms 1ms}
"""


@pytest.mark.kernel
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_up_warns_of_what_the_words_of_bad_links_do_not_say(
    labctl: Labctl, options: list[str]
) -> None:
    name = unused_name()
    try:
        done = labctl("up", labctl.write("bad.yaml", BAD), "--rootless", "--name", name, *options)
        by_hand = labctl("impair", "-l", name, "client:eth0", "loss", "20%", "50%")
    finally:
        labctl("down", name)

    assert done.code == 0
    correlation, jitter = done.err.splitlines()
    assert correlation == by_hand.err.rstrip().replace(
        "warning: ", "warning: client:eth0->server:eth0, server:eth0->client:eth0 and 1 more: "
    )
    assert "`loss 20% 50%` loses about" in correlation
    assert jitter.startswith("warning: other:eth0->client:eth1: with a jitter packets overtake")


@pytest.mark.kernel
def test_a_parameter_changes_the_lab(labctl: Labctl) -> None:
    with labctl.lab("star", "--rootless", "-p", "clients=1") as name:
        assert list(labctl.json("status", name)["nodes"]) == ["server", "client1"]


@pytest.mark.kernel
def test_several_copies_of_a_lab_live_side_by_side(labctl: Labctl, pair: str) -> None:
    with labctl.lab("pair") as second:
        for name in (pair, second):
            assert labctl("exec", "-l", name, "client", "ping", "-c1", "server").code == 0


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_dry_run_explains_and_builds_nothing(labctl: Labctl, options: list[str]) -> None:
    name = unused_name()
    done = labctl("up", "pair", "--name", name, "--dry-run", *options)

    assert done == labctl("explain", "pair", "--name", name, *options)
    assert done.code == 0
    assert not labctl.is_up(name)


def test_a_lab_is_found_where_labctl_path_says(labctl: Labctl, tmp_path: Path) -> None:
    labctl.write("elsewhere/labs/very_own.yaml", "name: very_own\nnodes: [a]\n")
    elsewhere = {"LABCTL_PATH": str(tmp_path / "elsewhere")}
    done = labctl("explain", "very_own", "--json", environment=elsewhere)

    assert json.loads(done.out)["lab"] == "very_own"


@pytest.mark.kernel
@pytest.mark.parametrize("impairments", ["none", "wire"])
def test_plain_links_can_be_made_bad_by_netem_only(labctl: Labctl, impairments: str) -> None:
    with labctl.lab("pair", "--rootless", "--impairments", impairments) as name:
        done = labctl("impair", "-l", name, "client", "loss", "1%")

    if impairments == "wire" or has_netem():
        assert done.code == 0, done.err
    else:
        assert done.code == 3
        assert "--impairments wire" in done.err


def test_a_way_to_build_links_that_does_not_exist_is_refused(labctl: Labctl) -> None:
    done = labctl("up", "pair", "--impairments", "nome")

    assert done.code == 2
    assert '"none"' in done.err
