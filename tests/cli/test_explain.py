import subprocess

from tests.cli.commands import Labctl


def test_the_script_is_one_that_a_shell_understands(labctl: Labctl) -> None:
    script = labctl("explain", "two_clients").out
    checked = subprocess.run(
        ["sh", "-n"], input=script, capture_output=True, text=True, check=False
    )

    assert script.startswith("#!/bin/sh\n")
    assert "ip netns add ns_client1" in script
    assert checked.returncode == 0, checked.stderr


def test_every_step_has_its_command(labctl: Labctl) -> None:
    said = labctl.json("explain", "pair", "--name", "copy")

    assert said["lab"] == "copy"
    assert all(step["step"] and step["command"] for step in said["steps"])
    assert any("ip netns add copy-client" in step["command"] for step in said["steps"])


def test_a_parameter_changes_the_script(labctl: Labctl) -> None:
    few = labctl("explain", "star", "-p", "clients=1").out
    many = labctl("explain", "star", "-p", "clients=5").out

    assert "client5" not in few
    assert "client5" in many
