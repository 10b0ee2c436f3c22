"""What is asked of a lab's links, and what is remembered of it, whoever fails in between."""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl import impairing
from labctl.errors import LabError
from labctl.impairing import Impairer, running_topology, wired_numbers
from labctl.kernel.control import Control
from labctl.kernel.detour import HiddenLinks
from labctl.teardown import down
from labctl.topology.directions import all_directions
from labctl.topology.impairment_words import parse_impairment
from labctl.topology.rules import Rule
from labctl.wire.client import EMULATOR
from tests.limits import LIMIT_S
from tests.wired_lab import A4, B4, WiredLab, wired_lab

pytestmark = pytest.mark.kernel

A = "a:eth0->b:eth0"
LOSS = parse_impairment(["loss", "1%"])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def plain_lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path, "none") as lab:
        yield lab


def shown(lab: WiredLab) -> dict[object, object]:
    return {each["direction"]: each["words"] for each in Impairer(lab.lab).show()}


def runs_emulator(lab: WiredLab) -> bool:
    return EMULATOR in {each.name for each in lab.control.programs() if each.ended is None}


def test_a_good_lab_runs_no_emulator(lab: WiredLab) -> None:
    assert Impairer(lab.lab).show() == []
    lab.clear()
    assert not runs_emulator(lab)
    with HiddenLinks(lab.control) as hidden:
        assert hidden.has(("w0a", "w0b", "w1a", "w1b"))
        assert not hidden.has(("x0a",))


def test_one_emulator_serves_every_link(lab: WiredLab) -> None:
    Impairer(lab.lab).impair(all_directions(lab.topology), LOSS)

    assert len(shown(lab)) == 4
    assert lab.emulator_pid()


def test_words_and_rules_of_many_directions_are_asked_for_at_once(lab: WiredLab) -> None:
    a, c = lab.directions("a")[0], lab.directions("c")[0]
    drop = Rule("drop")

    Impairer(lab.lab).impair_wired({a: LOSS, c.opposite: LOSS}, {a: [drop], c: [drop]}, seed=1)

    assert shown(lab) == {
        a.name: ["loss", "1%"],
        c.opposite.name: ["loss", "1%"],
        c.name: [],
    }
    for place, count in (("a", 1), ("c", 1), ("b:eth1", 0)):
        assert isinstance(rules := lab.shown(place)["rules"], list)
        assert len(rules) == count


def test_the_holder_is_asked_for_no_more_sockets_where_more_directions_change(
    lab: WiredLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    open_socket = Control.open_socket

    def counting(self: Control, netns: str, family: int, kind: int, protocol: int = 0) -> object:
        asked.append(netns)
        return open_socket(self, netns, family, kind, protocol)

    lab.impair("a", "delay 1ms")
    monkeypatch.setattr(Control, "open_socket", counting)
    Impairer(lab.lab).impair(lab.directions("a"), LOSS)
    for_one = sorted(asked)
    asked.clear()
    Impairer(lab.lab).impair([*lab.directions("a"), lab.directions("b:eth0")[0]], LOSS)

    assert sorted(asked) == for_one


def test_links_are_numbered_as_in_the_lab_file(lab: WiredLab, plain_lab: WiredLab) -> None:
    assert wired_numbers(lab.lab) == {0, 1}
    assert wired_numbers(plain_lab.lab) == set()


def test_what_the_wire_cannot_carry_is_refused_before_anything_changes(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")

    with pytest.raises(LabError, match="cannot carry a rate"):
        lab.impair("a", "rate 10gbit")

    assert shown(lab) == {A: ["delay", "1ms"]}


def test_a_link_that_is_gone_is_refused_before_another_changes(lab: WiredLab) -> None:
    gone, other = lab.directions("a")[0], lab.directions("c")[0]
    _delete_link_of(lab, "a")

    with pytest.raises(LabError, match=f"the link {A} is gone"):
        Impairer(lab.lab).impair([other, gone], LOSS)

    assert shown(lab) == {}
    assert not runs_emulator(lab)


def test_a_link_that_is_gone_is_forgotten_and_keeps_no_other_from_being_healed(
    lab: WiredLab,
) -> None:
    lab.impair("a", "delay 1ms")
    lab.impair("c", "delay 1ms")
    _delete_link_of(lab, "a")
    lab.kill_emulator()

    lab.impair("b:eth1", "delay 2ms")
    assert set(shown(lab)) == {"c:eth0->b:eth1", "b:eth1->c:eth0"}

    lab.clear()
    assert not Impairer(lab.lab).emulator_is_dead()
    lab.kill_emulator()
    assert not Impairer(lab.lab).emulator_is_dead()


def _delete_link_of(lab: WiredLab, node: str) -> None:
    import socket
    import struct

    from labctl.kernel import netlink

    with lab.control.open_socket(lab.lab.netns(node), socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        [ifindex] = [index for index, name in netlink.list_links(sock) if name == "eth0"]
        batch = netlink.Batch(sock)
        batch.add(netlink.message(17, 0, struct.pack("BxHiII", 0, 0, ifindex, 0, 0)), 1)
        batch.flush()


@pytest.mark.parametrize(
    ("python", "said"),
    [("/bin/false", "does not answer"), ("/nothing/python3", "No such file or directory")],
)
def test_an_emulator_that_cannot_start_leaves_the_links_as_they_were(
    lab: WiredLab, monkeypatch: pytest.MonkeyPatch, python: str, said: str
) -> None:
    sender, receiver = lab.udp(A4, B4)
    monkeypatch.setattr(sys, "executable", python)

    with pytest.raises(LabError, match=said) as failed:
        lab.impair("a", "loss 100%")

    assert failed.value.exit_code == 3
    sender.send(b"as before")
    assert receiver.recv(100) == b"as before"
    assert shown(lab) == {}
    assert not Impairer(lab.lab).emulator_is_dead()


def test_an_emulator_that_dies_over_a_request_leaves_what_was_asked_before(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")
    pid = lab.emulator_pid()
    os.kill(pid, signal.SIGSTOP)
    killer = os.fork()
    if killer == 0:
        try:
            # Once the request has come, and nobody is there to take it.
            _wait_for_connection(lab.lab.state.file("wire"))
        finally:
            os.kill(pid, signal.SIGKILL)
            os._exit(0)

    with pytest.raises(LabError, match="does not answer"):
        lab.impair("a", "delay 2ms")
    os.waitpid(killer, 0)
    # Its sockets close before it is dead, and the holder knows.
    assert lab.control.wait(EMULATOR, LIMIT_S) is not None

    assert shown(lab) == {A: ["delay", "1ms"]}
    assert Impairer(lab.lab).emulator_is_dead()
    lab.impair("c", "delay 3ms")
    assert shown(lab)[A] == ["delay", "1ms"]


def _wait_for_connection(path: str) -> None:
    from labctl.wait import until

    def has_two_ends() -> bool:
        # The listening socket, and a connection to it that is not accepted yet.
        return Path("/proc/net/unix").read_text().count(f" {path}\n") > 1

    assert until(has_two_ends, LIMIT_S)


def test_whoever_changes_a_lab_keeps_others_waiting(
    lab: WiredLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impairing, "_LOCKED_WITHIN_S", 0.1)
    with Path(lab.lab.state.file("wired")).open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(LabError, match="another `labctl impair` is changing the lab"):
            lab.impair("a", "loss 1%")
        assert shown(lab) == {}

    lab.impair("a", "loss 1%")
    assert len(shown(lab)) == 1


def test_rules_and_words_are_both_there_after_a_death(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")
    lab.arm(A, {"drop": {"match": "udp"}})
    lab.kill_emulator()

    lab.impair("a", "delay 2ms")

    assert lab.shown("a")["words"] == ["delay", "2ms"]
    assert isinstance(rules := lab.shown("a")["rules"], list)
    assert [rule["text"] for rule in rules] == ['drop: {match: "udp"}']


def test_who_was_healed_is_told(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")
    lab.impair("c", "delay 1ms")
    lab.kill_emulator()

    impairer = Impairer(lab.lab)
    impairer.impair(lab.directions("a"), LOSS)

    assert sorted(impairer.healed) == [A, "c:eth0->b:eth1"]
    again = Impairer(lab.lab)
    again.impair(lab.directions("a"), LOSS)
    assert again.healed == []


def test_a_lab_that_has_ended_is_an_error_and_gets_no_folder_again(lab: WiredLab) -> None:
    topology = running_topology(lab.lab)
    impairer = Impairer(lab.lab)
    down(lab.name)

    for attempt in (
        lambda: impairer.impair(lab.directions("a"), LOSS),
        lambda: impairer.clear(all_directions(topology)),
        lambda: impairer.arm({lab.directions("a")[0]: [Rule("drop")]}, 1),
        lambda: running_topology(lab.lab),
    ):
        with pytest.raises(LabError, match="has ended"):
            attempt()
    assert not lab.lab.state.exists()


def test_rules_for_a_plain_link_are_refused_with_what_to_do(plain_lab: WiredLab) -> None:
    with pytest.raises(LabError, match="rules need a wired link") as refused:
        plain_lab.arm(A, {"drop": {"match": "udp"}})

    assert "--impairments wire" in refused.value.hint
    assert shown(plain_lab) == {}


def test_a_plain_link_without_netem_is_refused_with_what_to_do(plain_lab: WiredLab) -> None:
    from labctl.kernel.netem_present import has_netem

    if has_netem():
        plain_lab.impair("a", "loss 1%")
        assert shown(plain_lab) == {A: ["loss", "1%"]}
        plain_lab.clear()
    else:
        with pytest.raises(LabError) as refused:
            plain_lab.impair("a", "loss 1%")
        assert refused.value.exit_code == 3
        assert "--impairments wire" in refused.value.hint
        plain_lab.clear()
    assert shown(plain_lab) == {}
