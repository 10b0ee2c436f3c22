import pytest

from labctl.cli.shell import shell_command
from tests.cli.commands import CHECKOUT, MODES, Labctl, unused_name
from tests.ordinary_user import OrdinaryUser


def test_bash_keeps_the_users_settings_and_gets_the_prompt_after_them() -> None:
    environment = {"SHELL": "/bin/bash"}

    assert shell_command(environment, "client@pair") == ["/bin/bash"]
    assert environment["LABCTL_PROMPT"].startswith("[client@pair] ")


def test_another_shell_gets_a_plain_prompt() -> None:
    environment = {"SHELL": "/bin/dash"}

    assert shell_command(environment, "client@pair") == ["/bin/dash"]
    assert environment["PS1"] == "[client@pair] $ "


def test_without_a_shell_of_ones_own_there_is_sh() -> None:
    assert shell_command({}, "pair") == ["/bin/sh"]


@pytest.mark.kernel
def test_a_script_on_standard_input_runs_in_the_node(labctl: Labctl, pair: str) -> None:
    script = "ip -brief address show scope global; echo $LABCTL_LAB $LABCTL_NODE; exit 5\n"
    done = labctl("shell", "-l", pair, "client", stdin=script, environment={"SHELL": "/bin/sh"})

    assert done.code == 5
    assert "10.0.0.1/24" in done.out
    assert done.out.endswith(f"{pair} client\n")
    assert done.err == ""


@pytest.mark.kernel
def test_the_shell_works_in_the_folder_where_one_is(labctl: Labctl, pair: str) -> None:
    done = labctl("shell", "-l", pair, "client", stdin="pwd", environment={"SHELL": "/bin/sh"})

    assert done.out == f"{labctl.folder}\n"


TUTORIAL = """\
sudo ip netns exec ns_client1 ping -c 1 10.0.1.1
sudo ip netns exec ns_client2 ping -c 1 10.0.2.1
sudo ip netns exec ns_client1 ping -c 1 10.0.2.2
sudo ip netns exec ns_client2 ping -c 1 10.0.1.2
sudo ip netns exec ns_server ss -aun
"""


@pytest.mark.kernel
def test_the_tutorials_commands_work_as_they_are_written(labctl: Labctl) -> None:
    # Not with --name, which would rename the namespaces, too.
    name = unused_name()
    text = (CHECKOUT / "labs" / "two_clients.yaml").read_text()
    lab = labctl.write("mine.yaml", text.replace("name: two_clients", f"name: {name}"))
    assert labctl("up", lab, "--rootless").code == 0
    try:
        done = labctl("shell", "-l", name, stdin=TUTORIAL, environment={"SHELL": "/bin/sh"})
    finally:
        labctl("down", lab)

    assert done.code == 0
    assert done.out.count("1 packets transmitted, 1 received, 0% packet loss") == 4
    assert "UNCONN" not in done.out
    assert done.err == ""


@pytest.mark.kernel
@pytest.mark.slow
def test_the_tutorials_commands_work_for_an_ordinary_user(lone_user: OrdinaryUser) -> None:
    lone_user.run("labctl", "up", "two_clients")
    done = lone_user.run("labctl", "shell", stdin=TUTORIAL)

    assert done.returncode == 0
    assert done.stdout.count("0% packet loss") == 4


@pytest.mark.kernel
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode == "--root"])
def test_a_lab_of_roots_has_no_inside_but_its_nodes(labctl: Labctl, mode: str) -> None:
    with labctl.lab("pair", mode) as name:
        done = labctl("shell", "-l", name)

    assert done.code == 2
    assert "hint: name a node: labctl shell client or server" in done.err


@pytest.mark.kernel
def test_a_node_that_does_not_exist(labctl: Labctl, pair: str) -> None:
    done = labctl("shell", "-l", pair, "servr")

    assert done.code == 2
    assert 'hint: did you mean "server"?' in done.err


@pytest.mark.kernel
def test_labctl_inside_the_shell_says_that_it_is_inside(labctl: Labctl, pair: str) -> None:
    command = " ".join(labctl.command)
    done = labctl("shell", "-l", pair, "client", stdin=f"{command} status\n")

    assert done.code == 2
    assert f'this is a shell inside the lab "{pair}"' in done.err
