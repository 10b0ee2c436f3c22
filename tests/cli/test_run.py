import pytest

from tests.cli.commands import Labctl

pytestmark = pytest.mark.kernel

SERVES = "#!/bin/sh\necho ready\nexec tail -f /dev/null\n"


def _script(labctl: Labctl, text: str) -> str:
    script = labctl.write("script", text)
    (labctl.folder / "script").chmod(0o755)
    return script


def test_in_the_foreground_the_exit_code_is_the_programs(labctl: Labctl, pair: str) -> None:
    script = _script(labctl, '#!/bin/sh\necho "$@"; cat; exit 9\n')
    done = labctl("run", "-l", pair, "client", script, "-d", "--json", stdin="typed\n")

    assert done == (9, "-d --json\ntyped\n", "")


def test_a_program_of_the_exercises_is_found_by_name(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("run", "-l", rootless_pair, "client", "addrconv", "192.168.1.100")

    assert done.code == 0
    assert "c0a80164" in done.out.lower()


def test_in_the_background_it_belongs_to_the_lab(labctl: Labctl, pair: str) -> None:
    script = _script(labctl, SERVES)
    done = labctl("run", "-l", pair, "-d", "--ready", "log ready", "server", script)

    assert done == (
        0,
        "script ready (log ready) in server; labctl logs script, labctl stop script\n",
        "",
    )
    assert [program["name"] for program in labctl.json("ps", pair)["programs"]] == ["script"]


def test_a_second_one_gets_a_number_and_a_name_can_be_chosen(
    labctl: Labctl, rootless_pair: str
) -> None:
    script = _script(labctl, SERVES)
    for words in ([], [], ["--name", "third"]):
        assert labctl("run", "-l", rootless_pair, "-d", *words, "server", script).code == 0

    listed = labctl.json("ps", rootless_pair)["programs"]
    assert [program["name"] for program in listed] == ["script", "script-2", "third"]


def test_a_program_that_never_gets_ready_shows_its_last_output(
    labctl: Labctl, rootless_pair: str
) -> None:
    script = _script(labctl, "#!/bin/sh\necho sorry, busy\nexit 4\n")
    done = labctl("run", "-l", rootless_pair, "-d", "--ready", "log ready", "server", script)

    assert done.code == 2
    assert "ended with exit status 4 before it was ready (log ready)" in done.err
    assert "  | sorry, busy\n" in done.err


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (
            ["client", "tim_client"],
            'there is no program "tim_client"',
            'did you mean "time_client"?',
        ),
        (["client", "./none"], 'there is no program "./none"', "is the path right?"),
        (["nobody", "true"], 'no node "nobody"', "its nodes are: client server"),
        (["--ready", "log x", "client", "true"], "--ready and --name need -d", "foreground"),
        (
            ["-d", "--ready", "soon", "client", "true"],
            '"soon" is not a condition to wait for',
            "listening udp/PORT",
        ),
        (["-d", "--within", "soon", "client", "true"], "argument --within", "labctl run --help"),
        (["-d", "--name", "a b", "client", "true"], '"a b" cannot be the name', "--name"),
    ],
)
def test_a_mistake(
    labctl: Labctl, rootless_pair: str, words: list[str], error: str, hint: str
) -> None:
    done = labctl("run", "-l", rootless_pair, *words)

    assert done.code == 2
    assert done.err.startswith("error: ")
    assert error in done.err
    assert hint in done.err.partition("  hint: ")[2]
    assert labctl.json("ps", rootless_pair)["programs"] == []


def test_a_file_that_is_not_executable(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("run", "-l", rootless_pair, "client", labctl.write("script", SERVES))

    assert done.code == 2
    assert "is not executable" in done.err
    assert "hint: chmod +x " in done.err
