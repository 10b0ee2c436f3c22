"""The pipeline from a file to a topology."""

from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.topology.load import MOST_NODES, load_topology_uncached, parse_topology
from tests.topology.lab_files import only_error, topology_of


def test_a_file_is_read_and_renamed(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("name: one\nnodes: [a]\n")
    topology = load_topology_uncached(str(path), {}, "copy")
    assert (topology.name, topology.nodes[0].netns) == ("copy", "copy-a")


def test_a_list_of_names_is_a_list_of_hosts() -> None:
    assert [node.kind for node in topology_of("name: x\nnodes: [a, b]\n").nodes] == ["host", "host"]


def test_a_name_that_is_listed_twice_is_refused() -> None:
    assert "listed again" in only_error("name: x\nnodes:\n- a\n- a\n").problem


def test_bytes_that_are_no_text_are_refused_at_their_line() -> None:
    with pytest.raises(LabError) as raised:
        parse_topology(b"name: x\nnodes: [\xff]\n", "lab.yaml", {})
    assert str(raised.value) == "lab.yaml:2: the lab file is not UTF-8 text"


def test_a_mark_of_the_byte_order_is_no_part_of_the_name() -> None:
    assert parse_topology(b"\xef\xbb\xbfname: x\nnodes: [a]\n", "lab.yaml", {}).name == "x"


def test_a_lab_that_cannot_be_meant_is_refused_for_its_size() -> None:
    text = f"name: x\nnodes: [{', '.join(f'n{n}' for n in range(MOST_NODES + 1))}]\n"
    assert f"at most {MOST_NODES}" in only_error(text).problem


def test_only_a_template_takes_parameters() -> None:
    with pytest.raises(LabError, match="has no parameter"):
        parse_topology(b"name: x\nnodes: [a]\n", "lab.yaml", {"clients": "3"})
