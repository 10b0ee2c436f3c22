"""The links of a whole lab through netem, in a kernel that has it."""

from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.impairing import Impairer
from tests.kernel.netem_link import why_no_netem
from tests.wired_lab import A4, B4, wired_lab


@pytest.mark.netem
@pytest.mark.skipif(bool(why_no_netem()), reason=f"{why_no_netem()}: tests/uml has one that has")
def test_a_link_built_for_netem_is_made_bad_shown_and_cleared(tmp_path: Path) -> None:
    with wired_lab(tmp_path, "netem") as lab:
        sender, receiver = lab.udp(A4, B4)
        sender.send(b"the neighbour is known now")
        receiver.recv(100)
        lab.impair("a", "loss 100%")
        lab.impair("c", "delay 1ms 100us distribution normal")
        sender.send(b"lost")

        asked = {each["direction"]: each["words"] for each in Impairer(lab.lab).show()}
        assert asked == {
            "a:eth0->b:eth0": ["loss", "100%"],
            "c:eth0->b:eth1": ["delay", "1ms", "100us", "distribution", "normal"],
        }
        assert lab.counters("a")["dropped"] > 0
        with pytest.raises(LabError, match="rules need a wired link"):
            lab.arm("a->b", {"drop": {"match": "udp"}})

        lab.clear()
        assert Impairer(lab.lab).show() == []
        sender.send(b"arrives")
        assert receiver.recv(100) == b"arrives"
