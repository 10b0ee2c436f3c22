"""What becomes of checks: run for real, in labs of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labctl.grading.exercise import load_exercise
from labctl.grading.outcome import Outcome
from labctl.grading.run import Settings, Watcher
from labctl.kernel.scratch import remove_abandoned
from labctl.kernel.state import LabState
from labctl.teardown import down
from labctl.wait import until
from tests.grading.workshop import MODES, check, make_exercise, make_submission, only, run
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

HELLO = {"program.py": 'print("hello", flush=True)\n'}


@pytest.mark.parametrize("is_rootless", MODES)
def test_each_check_comes_out_as_passed_failed_blocked_or_broken(
    tmp_path: Path, is_rootless: bool
) -> None:
    report = check(
        tmp_path,
        '''
        @pytest.mark.points(2)
        def test_greets(lab, submission):
            """it greets"""
            expect_equal(submission.run("client", "program").stdout, b"hello\\n", "stdout")

        @pytest.mark.points(3)
        def test_sings(lab, submission):
            """it sings"""
            unmet("a song", "nothing", "try harder")

        @pytest.mark.needs("test_sings")
        @pytest.mark.visibility("hidden")
        @pytest.mark.points(4)
        def test_sings_well(lab, submission):
            """it sings well"""

        @pytest.mark.needs("test_sings_well")
        def test_sings_best(lab, submission):
            """it sings best"""

        def test_is_a_mistake_of_ours(lab, submission):
            """it cannot be judged"""
            {}["no such key"]
        ''',
        HELLO,
        settings=Settings(is_rootless=is_rootless),
    )

    assert report.problem == ""
    greets, sings, well, best, ours = report.checks
    assert (greets.outcome, greets.title, greets.score) == (Outcome.PASSED, "it greets", 2)
    assert (sings.outcome, sings.expected, sings.actual) == (Outcome.FAILED, "a song", "nothing")
    assert sings.hint == "try harder"
    assert sings.evidence.traceback == ""
    assert (well.outcome, well.blocked_by) == (Outcome.BLOCKED, "it sings")
    assert well.visibility == "hidden"
    assert (best.outcome, best.blocked_by) == (Outcome.BLOCKED, "it sings well")
    assert (ours.outcome, ours.actual) == (Outcome.BROKEN, "KeyError: 'no such key'")
    assert "no such key" in ours.evidence.traceback
    assert "_pytest" not in ours.evidence.traceback
    assert (report.score, report.max_score, report.exit_code) == (2, 9, 3)


def test_a_plain_assertion_is_the_programs_fault(tmp_path: Path) -> None:
    result = only(
        check(
            tmp_path,
            """
            def test_greets(lab, submission):
                assert submission.run("client", "program").stdout == b"bye"
            """,
            HELLO,
        )
    )

    assert result.outcome is Outcome.FAILED
    assert "b'hello\\n' == b'bye'" in result.actual
    assert result.title == "greets"


def test_a_check_runs_under_several_seeds_and_tells_the_one_that_fails(tmp_path: Path) -> None:
    result = only(
        check(
            tmp_path,
            '''
            @pytest.mark.seeds(4)
            @pytest.mark.points(1)
            def test_is_lucky(lab, submission, seed, rng):
                """it is lucky"""
                assert lab.seed == seed
                assert rng.random() == random.Random(f"{seed} test_is_lucky").random()
                expect(seed != 8, expected="luck", actual=f"none with {seed}")
            ''',
            HELLO,
            settings=Settings(seed=6),
        )
    )

    assert (result.outcome, result.seed, result.actual) == (Outcome.FAILED, 8, "none with 8")


def test_only_the_checks_that_are_asked_for_run_with_those_that_they_need(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        """
        def test_a(lab, submission): pass
        def test_b(lab, submission): pass
        @pytest.mark.needs("test_a")
        def test_c(lab, submission): pass
        """,
        HELLO,
        settings=Settings(only=("test_c",)),
    )

    assert [result.name for result in report.checks] == ["test_a", "test_c"]


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("def test_a(lab, submission): (", "SyntaxError"),
        ("x = 1\n", "no check ran"),
        (
            '@pytest.mark.needs("test_later")\ndef test_a(lab, submission): pass\n'
            "def test_later(lab, submission): pass\n",
            'test_a needs "test_later", and no check before it has that name',
        ),
        ('@pytest.mark.points("many")\ndef test_a(lab, submission): pass\n', "points(NUMBER)"),
        ("@pytest.mark.pionts(3)\ndef test_a(lab, submission): pass\n", "pionts"),
    ],
)
def test_checks_that_cannot_run_are_a_problem_and_nobodys_failure(
    tmp_path: Path, checks: str, said: str
) -> None:
    report = check(tmp_path, checks, HELLO)

    assert said in report.problem
    assert (report.checks, report.outcome, report.exit_code) == ((), Outcome.BROKEN, 3)


def test_a_check_that_takes_too_long_is_broken(tmp_path: Path) -> None:
    result = only(
        check(
            tmp_path,
            """
            def test_waits(lab, submission):
                until(lambda: False, 60)
            """,
            HELLO,
            more="limits: {check_seconds: 0.5}",
        )
    )

    assert result.outcome is Outcome.BROKEN
    assert result.actual == "the check took longer than 0.5 s"


def test_a_check_does_not_take_for_ever_where_python_ignores_the_first_error(
    tmp_path: Path,
) -> None:
    result = only(
        check(
            tmp_path,
            """
            class Deaf:
                def __del__(self):
                    until(lambda: False, 600)

            def test_waits(lab, submission):
                Deaf()  # without a name: an error that comes early does not keep it for later
                until(lambda: False, 600)
            """,
            HELLO,
            more="limits: {check_seconds: 0.5}",
        )
    )

    assert result.outcome is Outcome.BROKEN
    assert result.actual == "the check took longer than 0.5 s"


def test_a_pytest_that_dies_is_a_problem_and_the_checks_before_it_stand(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        """
        def test_a(lab, submission): pass
        def test_b(lab, submission): os._exit(7)
        """,
        HELLO,
    )

    assert [result.outcome for result in report.checks] == [Outcome.PASSED]
    assert "the checks ended early (7)" in report.problem


def test_what_happens_is_told_as_it_happens(tmp_path: Path) -> None:
    told: list[object] = []
    exercise = make_exercise(
        tmp_path,
        '''
        def test_a(lab, submission):
            """one"""
        def test_b(lab, submission):
            """two"""
        ''',
    )
    watcher = Watcher(
        planned=told.append,
        started=told.append,
        ended=lambda result: told.append(result.outcome.value),
    )

    run(exercise, str(make_submission(tmp_path, HELLO)), watcher)

    assert told == [["one", "two"], "one", "passed", "two", "passed"]


def test_the_users_own_options_for_pytest_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")

    assert only(check(tmp_path, "def test_a(lab, submission): pass\n", HELLO)).score == 0


def test_the_packets_of_a_failed_check_are_kept(tmp_path: Path) -> None:
    result = only(
        check(
            tmp_path,
            """
            def test_sends(lab, submission):
                server = lab["server"].udp(bind=("0.0.0.0", 9))
                lab["client"].udp().send(b"look at me", to=(lab["server"].address, 9))
                server.receive()
                unmet("silence", "noise")
            """,
            HELLO,
            settings=Settings(keep=str(tmp_path / "kept")),
        )
    )

    assert "look at me" in result.evidence.ladder
    assert result.evidence.pcap == str(tmp_path / "kept" / "test_sends.pcapng")
    read = subprocess.run(
        ["tshark", "-r", result.evidence.pcap, "-T", "fields", "-e", "data.text", "-o",
         "data.show_as_text:TRUE"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "look at me" in read.stdout


def test_an_interrupted_run_leaves_no_lab(tmp_path: Path) -> None:
    told = tmp_path / "told"
    exercise = make_exercise(
        tmp_path,
        f"""
        def test_waits(lab, submission):
            with open({str(told)!r}, "w") as file:
                file.write(lab.running.name + "\\n")
            until(lambda: False, 60)
        """,
    )
    submission = make_submission(tmp_path, HELLO)
    program = textwrap.dedent(
        f"""
        from labctl.grading.exercise import load_exercise
        from labctl.grading.forkserver import ForkServer
        from labctl.grading.run import Settings, run_checks
        run_checks(
            ForkServer(), load_exercise({exercise.folder!r}), {str(submission)!r}, Settings()
        )
        """
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
        assert until(lambda: told.exists() and told.read_text().endswith("\n"), LIMIT_S)
        state = LabState(told.read_text().strip())
        assert state.is_up()
        process.kill()  # not even a chance to tidy up

    assert until(lambda: not state.is_up(), LIMIT_S)
    # As `labctl gc` does: the folders of a lab and of a run outlive whoever was killed.
    down(state.name)

    def is_clean() -> bool:
        remove_abandoned()  # nothing, as long as a dying process still writes there
        return not list(scratch.iterdir())

    assert until(is_clean, LIMIT_S)


def test_an_exercise_may_bring_a_lab_of_its_own(tmp_path: Path) -> None:
    exercise = make_exercise(
        tmp_path,
        """
        def test_sees(lab, submission):
            assert [node.name for node in lab.nodes] == ["left", "right"]

        @pytest.mark.lab("star", clients=2)
        def test_sees_another(lab, submission):
            assert len(lab.nodes) == 3
        """,
        lab="mine",
    )
    (Path(exercise.folder) / "mine.yaml").write_text(
        "name: mine\nnodes: [left, right]\nlinks:\n"
        "  - {endpoints: [left, right], ipv4: 10.0.0.0/24}\n"
    )

    report = run(load_exercise(exercise.folder), str(make_submission(tmp_path, HELLO)))

    assert report.outcome is Outcome.PASSED, report


def test_on_a_busy_machine_checks_may_be_told_to_wait_longer(tmp_path: Path) -> None:
    checks = """
    def test_waits(lab, submission):
        unmet("nothing", f"{WITHIN_S:g} s, and {lab.seed}")
    """
    patient = only(check(tmp_path, checks, HELLO, patience=3))

    assert patient.actual == "15 s, and 1"


def test_commands_of_the_check_are_not_shown_among_the_learners_programs(tmp_path: Path) -> None:
    result = only(
        check(
            tmp_path,
            """
            def test_it(lab, submission):
                lab["client"].set("net.ipv4.ip_forward", "1")
                submission.run("client", "program")
                unmet("more", "this")
            """,
            HELLO,
        )
    )

    assert result.evidence.programs.startswith("program.py in client: ended with exit status 0")
