import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labctl.cli import main
from tests.cli.terminals import Terminal

LAB = """\
name: tiny
nodes:
  client: {netns: ns_client, gateway: 10.0.0.1}
  server: {netns: ns_server, kind: router}
links:
  - endpoints: ["client:veth_c", "server:veth_s"]
    ipv4: [10.0.0.2/24, 10.0.0.1/24]
"""

TEMPLATE = """\
name: star
nodes:
  server: {kind: router}
{% for n in range(1, clients | default(2) | int + 1) %}
  client{{ n }}: {}
{% endfor %}
links:
{% for n in range(1, clients | default(2) | int + 1) %}
  - endpoints: ["client{{ n }}:eth0", "server:eth{{ n }}"]
    ipv4: [10.0.{{ n }}.2/24, 10.0.{{ n }}.1/24]
{% endfor %}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a lab and a template in it, and a cache of its own."""
    (tmp_path / "tiny.yaml").write_text(LAB)
    (tmp_path / "star.yaml.j2").write_text(TEMPLATE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pipe_gets_mermaid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "tiny.yaml"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")


def test_a_terminal_gets_text() -> None:
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "labctl", "graph", "tiny.yaml"]
    with Terminal(command, environment) as terminal:
        assert terminal.end() == 0

    assert terminal.shown.startswith("tiny: 2 nodes, 1 link\r\n")


def test_a_terminal_that_is_not_utf_8_gets_ascii() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labctl", "graph", "tiny.yaml", "--format", "text"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert b"client -- 10.0.0.0/24 -- server" in done.stdout
    assert done.stdout.isascii()


def test_a_file_gets_the_format_of_its_ending(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", "tiny.yaml", "-o", "tiny.svg"]) == 0
    assert ElementTree.parse(folder / "tiny.svg").getroot().tag.endswith("svg")
    assert capsys.readouterr().out == ""


def test_a_parameter_changes_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "star.yaml.j2", "-p", "clients=4", "--format", "text"]) == 0
    assert capsys.readouterr().out.startswith("star: 5 nodes, 4 links\n")


def test_json_is_a_format_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "tiny.yaml", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert [node["netns"] for node in drawn["nodes"]] == ["ns_client", "ns_server"]


def test_an_unknown_ending_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", "tiny.yaml", "-o", "tiny.bmp"]) == 2
    shown = capsys.readouterr().err
    assert 'error: tiny.bmp: the ending ".bmp" says nothing about the format' in shown
    assert "hint: " in shown
    assert not (folder / "tiny.bmp").exists()


def test_a_directory_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures.svg").mkdir()
    assert main(["graph", "tiny.yaml", "-o", "pictures.svg"]) == 2
    assert "pictures.svg: is a directory" in capsys.readouterr().err
    assert (folder / "pictures.svg").is_dir()


def test_the_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["graph", "--help"])
    shown = capsys.readouterr().out
    for word in ("text", "svg", "mermaid", "dot", "json", ".mmd", ".gv"):
        assert word in shown
