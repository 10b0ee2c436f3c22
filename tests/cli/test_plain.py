import re
import subprocess
import sys

import pytest

from labctl.cli.plain import parse_plain
from tests.cli.commands import Labctl, unused_name
from tests.limits import LIMIT_S

FLAGS, OPTIONS = ("--root", "--rootless"), ("-l", "-p")


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        ([], (set(), [], [])),
        (["a", "-x"], (set(), [], ["a", "-x"])),
        (["--root", "a"], ({"--root"}, [], ["a"])),
        (["-p", "a=1", "-p", "b", "c"], (set(), [("-p", "a=1"), ("-p", "b")], ["c"])),
    ],
)
def test_plain_words_are_understood(words: list[str], parsed: object) -> None:
    assert parse_plain(words, flags=FLAGS, options=OPTIONS) == parsed


@pytest.mark.parametrize(
    "words", [["-x"], ["-l"], ["-lab", "a"], ["-l", "-p", "a"], ["--", "a"], ["--help"], ["-"]]
)
def test_everything_else_is_left_to_argparse(words: list[str]) -> None:
    assert parse_plain(words, flags=FLAGS, options=OPTIONS) is None


WITHOUT_THE_FAST_PATH = """
import sys
from labctl.cli import main
main.__globals__["_PLAIN_VERBS"] = ()
sys.exit(main())
"""

# NAME stands for a lab that is up, NEW for one that is not.
EXEC = [
    "exec -l NAME client echo a",
    "exec -l NAME client -- echo a",
    "exec -l NAME client -- echo -- a",
    "exec -l NAME client echo -l x -- --json",
    "exec -l NAME -- client echo a",
    "exec -lNAME client echo a",
    "exec --lab NAME client echo a",
    "exec --lab=NAME client -- echo a",
    "exec -l x -l NAME client echo a",
    "exec -l NAME client sh -c",
    "exec -l NAME client",
    "exec -l NAME client --",
    "exec -l NAME",
    "exec -l",
    "exec -l -x client echo a",
    "exec -l NEW client echo a",
    "exec -l NAME nobody echo a",
    "exec -l NAME client -x echo a",
    "exec client -l NAME echo a",
    "exec -x NAME client echo a",
    "exec -l NAME client no-such-command",
]

UP_AND_DOWN = [
    "up pair --name NEW --rootless",
    "up --rootless --name NEW pair",
    "up --name=NEW pair --rootless",
    "up star -p clients=1 --name NEW --rootless",
    "up star -p clients=1 -p clients=2 --name NEW --rootless",
    "up pair --name",
    "up pair --name -x",
    "up pair --rootless --root",
    "up pair --root --root --nonsense",
    "up pair star",
    "up star -p nonsense",
    "up nonsense --name NEW",
    "up pair --name NAME",
    "up",
    "down NEW",
    "down -l NEW",
    "down -x",
    "down NEW other",
    "down NEW --all",
    "down ''",
]


@pytest.mark.kernel
@pytest.mark.parametrize("line", EXEC)
def test_exec_means_the_same_to_argparse(labctl: Labctl, rootless_pair: str, line: str) -> None:
    assert _outcomes(labctl, line, rootless_pair)


@pytest.mark.kernel
@pytest.mark.parametrize("line", UP_AND_DOWN)
def test_up_and_down_mean_the_same_to_argparse(
    labctl: Labctl, rootless_pair: str, line: str
) -> None:
    assert _outcomes(labctl, line, rootless_pair)


def _outcomes(labctl: Labctl, line: str, name: str) -> bool:
    """Run the line both ways and compare; return that there was something to compare."""
    new = unused_name()
    words = [
        "" if word == "''" else word.replace("NAME", name).replace("NEW", new)
        for word in line.split()
    ]
    plain = _outcome(labctl, [*labctl.command], words, new)
    parsed = _outcome(labctl, [sys.executable, "-c", WITHOUT_THE_FAST_PATH], words, new)
    assert plain == parsed
    return bool(plain[1] or plain[2])


def _outcome(
    labctl: Labctl, command: list[str], words: list[str], new: str
) -> tuple[int, str, str, object]:
    try:
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
            cwd=labctl.folder,
            env=labctl.environment,
        )
        built = labctl("exec", "-l", new, "server", "true").code
    finally:
        labctl("down", new)
    # What else is up changes while other tests run.
    said = re.sub(r"hint: these are: .*|hint: labctl up .*", "hint: …", done.stderr)
    return done.returncode, done.stdout, said, built
