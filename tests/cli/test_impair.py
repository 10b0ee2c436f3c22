import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from labctl.kernel.control import Control
from labctl.kernel.state import LabState
from labctl.wait import until
from labctl.wire.client import EMULATOR
from tests.cli.commands import MODES, Labctl, unused_name
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("root-names")]

CLIENT2 = "client2:veth_c2->server:veth_srv_c2"
BACK = "server:veth_srv_c2->client2:veth_c2"


@pytest.fixture(params=MODES)
def lab(labctl: Labctl, request: pytest.FixtureRequest) -> Iterator[str]:
    """The lab of the tutorial on wires, once in each mode; its name."""
    with labctl.lab("two_clients", request.param, "--impairments", "wire") as name:
        yield name


@pytest.fixture
def rootless_lab(labctl: Labctl) -> Iterator[str]:
    with labctl.lab("two_clients", "--rootless", "--impairments", "wire") as name:
        yield name


def impairments(labctl: Labctl, lab: str, *words: str) -> dict[str, list[str]]:
    """Return what ``--show`` says is asked of each direction."""
    shown = labctl.json("impair", "-l", lab, *words, "--show")["impairments"]
    return {each["direction"]: each["words"] for each in shown}


def ping(labctl: Labctl, lab: str, node: str, *, within_s: int = 20) -> bool:
    """Whether a node gets an answer from the server. Where none can come, do not wait for long."""
    # One request: after more than one ping(8) waits only as long as the slowest answer took.
    words = ("ping", "-n", "-c", "1", "-W", str(within_s), "server")
    done = labctl("exec", "-l", lab, node, "--", *words)
    return "bytes from" in done.out


def lost_packets(labctl: Labctl, lab: str) -> int:
    """Return how many packets the only bad direction has lost."""
    [shown] = labctl.json("impair", "-l", lab, "--show")["impairments"]
    count: int = shown["counters"]["lost"]
    return count


def test_a_link_is_made_bad_and_good_again(labctl: Labctl, lab: str) -> None:
    assert ping(labctl, lab, "client2")

    done = labctl("impair", "-l", lab, "client2", "loss", "100%")
    assert done == (0, f"{CLIENT2}: loss 100%\n", "")
    assert not ping(labctl, lab, "client2", within_s=1)
    assert ping(labctl, lab, "client1")

    assert labctl("impair", "-l", lab, "client2", "--clear") == (0, "", "")
    assert ping(labctl, lab, "client2")


def test_the_table_shows_words_and_counters(labctl: Labctl, rootless_lab: str) -> None:
    labctl("impair", "-l", rootless_lab, "client2", "loss", "100%")
    ping(labctl, rootless_lab, "client2", within_s=1)
    assert until(lambda: lost_packets(labctl, rootless_lab), LIMIT_S)

    headings, row = labctl("impair", "-l", rootless_lab, "--show").out.splitlines()

    assert headings.split()[:4] == ["DIRECTION", "BY", "SEEN", "LOST"]
    name, backend, seen, lost, *_, word, value = row.split()
    assert (name, backend, word, value) == (CLIENT2, "wire", "loss", "100%")
    assert seen == lost != "0"


def test_both_directions_of_a_link_at_once(labctl: Labctl, rootless_lab: str) -> None:
    done = labctl("impair", "-l", rootless_lab, "--link", "server-client2", "delay", "2ms")

    assert done.code == 0
    assert sorted(done.out.splitlines()) == [f"{CLIENT2}: delay 2ms", f"{BACK}: delay 2ms"]
    both = {CLIENT2: ["delay", "2ms"], BACK: ["delay", "2ms"]}
    assert impairments(labctl, rootless_lab) == both
    assert impairments(labctl, rootless_lab, "client2") == {CLIENT2: ["delay", "2ms"]}


def test_a_change_replaces_everything_that_was_asked_before(
    labctl: Labctl, rootless_lab: str
) -> None:
    labctl("impair", "-l", rootless_lab, "client2", "loss", "40%")

    shown = labctl.json("impair", "-l", rootless_lab, "client2", "delay", "1ms")

    assert [each["words"] for each in shown["impairments"]] == [["delay", "1ms"]]


def test_clear_without_a_node_clears_every_link(labctl: Labctl, rootless_lab: str) -> None:
    for node in ("client1", "client2"):
        labctl("impair", "-l", rootless_lab, node, "loss", "100%")

    assert labctl("impair", "-l", rootless_lab, "--clear").code == 0

    assert labctl("impair", "-l", rootless_lab, "--show").out == "every link is good\n"
    assert ping(labctl, rootless_lab, "client1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("client2", "lss", "40%"), "loss"),
        (("client2", "loss", "140%"), "140%"),
        (("client2", "loss", "-1%"), "-1%"),
        (("client2", "delay", "-5ms"), "-5ms"),
        (("client2", "delay", "100years"), "100years"),
        (("client2", "reorder", "50%"), "delay"),
        (("client2", "delay", "5ms", "1ms", "distribution", "norml"), "normal"),
        (("client2", "rate", "10gbit"), "400mbit"),
        (("cleint2", "loss", "1%"), "client2"),
        (("client2:veth_c1", "loss", "1%"), "veth_c2"),
        (("client2:", "loss", "1%"), "veth_c2"),
        (("server", "loss", "1%"), "server:veth_srv_c1 server:veth_srv_c2"),
        (("--link", "client1-client2", "loss", "1%"), "client1-server"),
        (("client2",), "labctl impair client2 loss 40%"),
        (("client2", "loss", "1%", "--clear"), "more than one thing"),
        (("client2", "--rules", "faults.yaml"), "the rules themselves"),
        (("--rules", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error_and_changes_nothing(
    labctl: Labctl, words: tuple[str, ...], said: str
) -> None:
    with labctl.lab("two_clients", "--rootless", "--impairments", "wire") as lab:
        labctl("impair", "-l", lab, "client1", "delay", "1ms")

        done = labctl("impair", "-l", lab, *words)

        assert done.code == 2, done
        assert done.out == ""
        assert said in done.err
        assert done.err.count("error: ") == 1
        assert "Traceback" not in done.err
        assert list(impairments(labctl, lab)) == ["client1:veth_c1->server:veth_srv_c1"]


RULES = """
seed: 7
client2->server:
  - drop: {match: icmp, packets: [2]}
"""


def test_the_rules_of_a_file_are_armed_and_counted(labctl: Labctl, lab: str) -> None:
    path = labctl.write("faults.yaml", RULES)

    done = labctl("impair", "-l", lab, "--rules", path)

    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first == f"{CLIENT2}: 1 rule armed"
    assert second.startswith("seed 7; the fate log is /")
    answered = [ping(labctl, lab, "client2", within_s=limit) for limit in (20, 1, 20)]
    assert answered == [True, False, True]
    said = labctl("impair", "-l", lab, "--show").out
    assert 'drop: {match: "icmp", packets: [2]}: matched 3, fired 1, completed 1' in said


def test_rules_may_come_from_standard_input(labctl: Labctl, rootless_lab: str) -> None:
    done = labctl("impair", "-l", rootless_lab, "--rules", "-", "--json", stdin=RULES)

    said = json.loads(done.out)
    assert (said["seed"], said["directions"]) == (7, [CLIENT2])


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('client2->server: [{drop: {match: "udp prot 1", packets: [1]}}]', "udp prot 1"),
        ("client2->server: [{hold: {match: udp}}]", "until"),
        ("client2->client1: [{drop: {match: udp}}]", "client1"),
        ("nobody->server: [{drop: {match: udp}}]", "nobody"),
    ],
)
def test_rules_that_mean_nothing_are_refused_with_their_line(
    labctl: Labctl, rootless_lab: str, rules: str, said: str
) -> None:
    path = labctl.write("faults.yaml", rules)

    done = labctl("impair", "-l", rootless_lab, "--rules", path)

    assert done.code == 2
    assert "faults.yaml:1" in done.err
    assert said in done.err
    assert impairments(labctl, rootless_lab) == {}


def test_a_dead_emulator_is_an_error_of_the_machine_and_is_healed(
    labctl: Labctl, rootless_lab: str
) -> None:
    labctl("impair", "-l", rootless_lab, "client2", "delay", "1ms")
    control = Control(LabState(rootless_lab))
    control.signal(EMULATOR, signal.SIGKILL)
    assert control.wait(EMULATOR, LIMIT_S) is not None

    table = labctl("impair", "-l", rootless_lab, "--show")
    as_json = labctl("impair", "-l", rootless_lab, "--show", "--json")

    assert table.code == as_json.code == 3
    assert "the emulator has died: these links pass nothing" in table.err
    assert [each["dead"] for each in json.loads(as_json.out)["impairments"]] == [True]
    healed = labctl("impair", "-l", rootless_lab, "client1", "delay", "1ms")
    assert healed.code == 0
    assert f"{CLIENT2} passed nothing meanwhile" in healed.err
    assert labctl("impair", "-l", rootless_lab, "--show").code == 0
    assert ping(labctl, rootless_lab, "client2")


def test_the_emulator_is_not_stopped_by_accident(labctl: Labctl, rootless_lab: str) -> None:
    labctl("impair", "-l", rootless_lab, "client2", "delay", "1ms")
    done = labctl("stop", "-l", rootless_lab, EMULATOR)
    assert done.code == 2
    assert "labctl impair --clear" in done.err
    assert ping(labctl, rootless_lab, "client2")


def test_a_link_whose_interface_was_deleted_is_named(labctl: Labctl, rootless_lab: str) -> None:
    labctl("impair", "-l", rootless_lab, "client2", "delay", "1ms")
    labctl("exec", "-l", rootless_lab, "client2", "--", "ip", "link", "del", "veth_c2")

    done = labctl("impair", "-l", rootless_lab, "client2", "delay", "2ms")

    assert done.code == 2
    assert f"the link {CLIENT2} is gone" in done.err
    assert labctl("impair", "-l", rootless_lab, "--clear") == (0, "", "")
    assert labctl("impair", "-l", rootless_lab, "--show").out == "every link is good\n"


def test_many_at_once_do_not_undo_each_other(labctl: Labctl, rootless_lab: str) -> None:
    places = ("client1", "client2", "server:veth_srv_c1", "server:veth_srv_c2")
    started = [
        subprocess.Popen(
            [*labctl.command, "impair", "-l", rootless_lab, place, "delay", f"{number}ms"],
            cwd=labctl.folder,
            env=labctl.environment,
            stdout=subprocess.DEVNULL,
        )
        for number, place in enumerate(places, start=1)
    ]

    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    asked = impairments(labctl, rootless_lab)
    assert sorted(words[1] for words in asked.values()) == ["1ms", "2ms", "3ms", "4ms"]
    assert ping(labctl, rootless_lab, "client2")


def test_a_lab_that_is_not_up_has_no_links(labctl: Labctl) -> None:
    done = labctl("impair", "-l", unused_name(), "client2", "loss", "1%")

    assert done.code == 2
    assert "is not up" in done.err


def test_down_ends_the_emulator_and_leaves_nothing(labctl: Labctl, lab: str) -> None:
    labctl("impair", "-l", lab, "client2", "delay", "1ms")

    assert labctl("down", lab).code == 0

    assert not labctl.is_up(lab)
    # The processes of this run that are left in the end are found by tests/conftest.py.


def test_changes_while_the_lab_goes_down_end_in_one_clear_error(labctl: Labctl) -> None:
    for _ in range(3):
        with labctl.lab("two_clients", "--rootless", "--impairments", "wire") as lab:
            started = [
                subprocess.Popen(
                    [*labctl.command, *words],
                    cwd=labctl.folder,
                    env=labctl.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for words in (
                    ("impair", "-l", lab, "client1", "delay", "1ms"),
                    ("impair", "-l", lab, "--show"),
                    ("down", lab),
                    ("impair", "-l", lab, "client2", "delay", "1ms"),
                )
            ]
            for process in started:
                _, said = process.communicate(timeout=60)
                assert "Traceback" not in said
                assert "fault of labctl's" not in said
                assert process.returncode == 0 or said.count("error: ") == 1
            labctl("down", lab)
            assert not labctl.is_up(lab)
