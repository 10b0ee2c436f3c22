"""``labctl check`` as a learner types it."""

import json
import os
import signal
from pathlib import Path

import pytest

from labctl.wait import until
from tests.cli.commands import MODES, Labctl
from tests.cli.terminals import CTRL_C, Terminal
from tests.grading.folders import names_in
from tests.grading.shout import CAPITALS, NO_WORD, RIGHT, UMLAUTS, make_shout
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _shout(labctl: Labctl) -> None:
    make_shout(labctl.folder)
    assert labctl("start", "shout").code == 0


def _write(labctl: Labctl, program: str) -> Path:
    path = labctl.folder / "work" / "01-shout" / "shout.py"
    # In one step, as editors save: whoever watches sees one change, and never an empty file.
    written = labctl.folder / "shout.py.new"
    written.write_text(program)
    return written.replace(path)


def _results(labctl: Labctl) -> Path:
    return labctl.folder / "work" / "01-shout" / ".labctl" / "results"


@pytest.mark.parametrize("mode", MODES)
def test_the_starter_fails_and_says_what_to_do(labctl: Labctl, mode: str) -> None:
    done = labctl("check", "shout", mode)

    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        "Small: work/01-shout, seed 1",
        f"✗ {CAPITALS}",
        "      expected: stdout: 'HELLO\\n'",
        "        actual: stdout: 'hello\\n'",
        "          hint: str.upper() knows the capitals",
        "    shout.py hello in host: ended with exit status 0",
        "      stdout: hello",
        "",
        f'– {UMLAUTS}   (not checked: "{CAPITALS}" has to pass first)',
        f"✗ {NO_WORD}",
        "      expected: exit status: 2",
        "        actual: exit status: 0",
        "          hint: sys.exit(2)",
        "    shout.py in host: ended with exit status 0",
        "      stdout:",
        "",
        "0 of 3 checks passed, 0 of 6 points",
        "kept in work/01-shout/.labctl/results/latest",
    ]


def test_a_right_program_passes(labctl: Labctl) -> None:
    _write(labctl, RIGHT)
    done = labctl("check", "shout")

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1:5] == [f"✓ {CAPITALS}", f"✓ {UMLAUTS}", f"✓ {NO_WORD}", ""]


@pytest.mark.parametrize("words", [["mine"], ["."]])
def test_the_folder_can_be_any(labctl: Labctl, words: list[str]) -> None:
    place = labctl.folder / words[0]
    place.mkdir(exist_ok=True)
    (place / "shout.py").write_text(RIGHT)

    assert labctl("check", "shout", *words).code == 0


def test_without_a_copy_the_current_folder_is_checked(labctl: Labctl) -> None:
    (labctl.folder / "work").rename(labctl.folder / "elsewhere")
    (labctl.folder / "shout.py").write_text(RIGHT)

    assert labctl("check", "shout").code == 0


def test_what_came_out_is_kept(labctl: Labctl) -> None:
    done = labctl("check", "shout")
    latest = _results(labctl) / "latest"

    kept = (latest / "report.txt").read_text()
    assert kept in done.out
    assert json.loads((latest / "results.json").read_text())["outcome"] == "failed"


def test_json_is_for_programs(labctl: Labctl) -> None:
    done = labctl("check", "shout", "--json", "--seed", "7")
    said = json.loads(done.out)

    assert (done.code, done.err) == (1, "")
    assert said["format"] == 1
    assert said["seed"] == 7
    assert [check["outcome"] for check in said["checks"]] == ["failed", "blocked", "failed"]
    assert said["kept"] == "work/01-shout/.labctl/results/latest"


def test_only_one_check_with_what_it_needs(labctl: Labctl) -> None:
    _write(labctl, RIGHT)
    done = labctl("check", "shout", "--only", "umlauts")

    assert done.code == 0
    assert "2 of 2 checks passed" in done.out
    assert NO_WORD not in done.out


def test_without_sandbox_a_program_sees_the_files_of_the_user(labctl: Labctl) -> None:
    secret = labctl.folder / "secret"
    secret.write_text("here")
    _write(labctl, f"import os\nprint('seen' if os.path.exists({str(secret)!r}) else 'HELLO')\n")

    assert f"✓ {CAPITALS}" in labctl("check", "shout").out
    assert "stdout: seen" in labctl("check", "shout", "--no-sandbox").out


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["--only", "umlaute"], 'there is no check "umlaute"', 'did you mean "test_umlauts"?'),
        (["none"], 'there is no folder "none"', "labctl start shout none makes it"),
        (["--watch", "--json"], "--watch has no --json", "leave one of them out"),
        (["--seed", "x"], "argument --seed", "labctl check --help"),
    ],
)
def test_a_mistake(labctl: Labctl, words: list[str], error: str, hint: str) -> None:
    done = labctl("check", "shout", *words)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert error in done.err
    assert hint in done.err.partition("  hint: ")[2]


def test_a_check_that_breaks_is_not_the_learners_fault(labctl: Labctl) -> None:
    checks = labctl.folder / "exercises" / "01-shout" / "checks" / "test_small.py"
    checks.write_text(checks.read_text().replace('"shout", "hello"', '"shuot"'))
    done = labctl("check", "shout")

    assert done.code == 3
    assert f"! {CAPITALS}\n      not judged: this is not your program's fault: " in done.out
    assert "1 not judged" in done.out


def test_what_a_program_prints_gives_the_terminal_no_orders(labctl: Labctl) -> None:
    _write(labctl, r"print('\x1b[2J\x1b]0;title\x07\u202e')")
    done = labctl("check", "shout")

    assert done.code == 1
    assert "stdout: \\x1b[2J\\x1b]0;title\\x07\\u202e" in done.out
    assert "\x1b" not in done.out


def test_a_folder_that_takes_no_results_is_checked_all_the_same(labctl: Labctl) -> None:
    _write(labctl, RIGHT)
    (labctl.folder / "work" / "01-shout" / ".labctl").write_text("in the way")
    done = labctl("check", "shout")

    assert done.code == 0
    assert done.err.startswith("warning: nothing is kept of this run: ")
    assert "kept in" not in done.out


def _open(labctl: Labctl, *words: str) -> Terminal:
    environment = {**labctl.environment, "TERM": "xterm", "HOME": str(labctl.folder)}
    environment.pop("NO_COLOR", None)
    return Terminal([*labctl.command, *words], environment, cwd=labctl.folder)


def test_a_terminal_shows_which_check_runs_and_colours(labctl: Labctl) -> None:
    with _open(labctl, "check", "shout") as terminal:
        terminal.expect("1 of 3: ")
        terminal.expect("\x1b\\[31m✗\x1b\\[0m a word comes back")
        assert terminal.end() == 1


def test_watch_checks_again_at_every_change_until_ctrl_c(labctl: Labctl) -> None:
    with _open(labctl, "check", "shout", "--watch") as terminal:
        terminal.expect("0 of 3 checks passed")
        terminal.expect("Ctrl-C ends")
        _write(labctl, RIGHT)
        terminal.expect("changed: shout.py")
        terminal.expect("3 of 3 checks passed")
        terminal.expect("Ctrl-C ends")
        terminal.type(CTRL_C)
        assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert "error" not in terminal.shown
    assert len(names_in(_results(labctl))) == 3


STOPS_IN_THE_FIRST_CHECK = """
import os, pathlib, signal
pathlib.Path({path!r}).touch()
signal.pause()
"""


# As by Ctrl-C, by timeout(1), by the terminal that is closed.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_and_leaves_nothing_half_done(
    labctl: Labctl, number: signal.Signals
) -> None:
    begun = labctl.folder / "begun"
    _write(labctl, STOPS_IN_THE_FIRST_CHECK.format(path=str(begun)))
    with labctl.running("check", "shout", "--no-sandbox") as running:
        assert until(begun.exists, LIMIT_S)
        os.kill(running.process.pid, number)
        code, said = running.end()

    assert (code, said) == (128 + number, "")
    assert names_in(_results(labctl)) == []
