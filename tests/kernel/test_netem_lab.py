"""A whole lab where the kernel has netem: bad from the start, changed, made good, wired for rules."""

from pathlib import Path

import pytest

from tests.cli.commands import MODES, Labctl

pytestmark = [pytest.mark.kernel, pytest.mark.netem]

LAB = """\
name: bad
nodes: [client, router, server]
links:
  - {endpoints: [client, router], impair: {client: delay 20ms 5ms distribution normal}}
  - {endpoints: [router, server], impair: delay 5ms}
rules:
  router->server:
    - drop: {match: udp, packets: [3]}
"""

FROM_THE_START = {
    "client:eth0->router:eth0": ("netem", "delay 20ms 5ms distribution normal"),
    "router:eth1->server:eth0": ("wire", "delay 5ms"),
    "server:eth0->router:eth1": ("wire", "delay 5ms"),
}


@pytest.mark.parametrize("mode", MODES)
def test_each_link_is_bad_in_the_way_it_was_built(mode: str, tmp_path: Path) -> None:
    labctl = Labctl(tmp_path)
    path = labctl.write("bad.yaml", LAB)
    with labctl.lab(path, mode) as name:

        def shown() -> dict[str, tuple[str, str]]:
            found = labctl.json("impair", "-l", name, "--show")["impairments"]
            return {e["direction"]: (e["backend"], " ".join(e["words"])) for e in found}

        assert shown() == FROM_THE_START
        assert labctl("impair", "-l", name, "client", "loss", "10%").code == 0
        assert shown() == {**FROM_THE_START, "client:eth0->router:eth0": ("netem", "loss 10%")}
        assert labctl("impair", "-l", name, "--clear").code == 0
        assert shown() == {}
