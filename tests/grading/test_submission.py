"""Submissions: copied, found, built; in a sandbox and without one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.grading.submission import Means, Prepared, Submission, copy_submission, prepare
from labctl.grading.unmet import Unmet
from labctl.topology.load import load_topology_uncached
from tests.grading.workshop import MODES, make_exercise, make_submission
from tests.limits import LIMIT_S

LABS = Path(__file__).parent.parent.parent / "labs"

PYTHON = "print('in python')\n"
SHELL = "#!/bin/sh\necho in shell\n"
C = '#include <stdio.h>\nint main(void) { puts("in C"); return 0; }\n'
MAKEFILE = "program: program.c\n\t$(CC) -o $@ $<\n"


def test_a_copy_has_the_files_and_not_what_tools_leave(tmp_path: Path) -> None:
    source = make_submission(
        tmp_path,
        {
            "program.py": PYTHON,
            "lib/one.py": "",
            "run": SHELL,
            ".git/config": "x",
            "__pycache__/a.pyc": "x",
            ".labctl/results/latest/x": "x",
        },
    )
    os.mkfifo(source / "pipe")
    (source / "passwd").symlink_to("/etc/passwd")
    (source / "etc").symlink_to("/etc")

    copy_submission(str(source), str(tmp_path / "copy"))

    copied = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")}
    assert copied == {"program.py", "lib", "lib/one.py", "run", "passwd", "etc"}
    assert (tmp_path / "copy" / "passwd").is_symlink()
    assert (tmp_path / "copy" / "etc").is_symlink()
    assert os.access(tmp_path / "copy" / "run", os.X_OK)
    assert not os.access(tmp_path / "copy" / "program.py", os.X_OK)


def test_a_submission_that_is_too_large_is_refused(tmp_path: Path) -> None:
    source = make_submission(tmp_path, {f"{n}.txt": "" for n in range(2001)})
    with pytest.raises(Unmet, match="at most 2000 files"):
        copy_submission(str(source), str(tmp_path / "copy"))


def test_a_huge_file_is_refused_without_copying_it(tmp_path: Path) -> None:
    source = make_submission(tmp_path, {"a": ""})
    os.truncate(source / "a", 300 << 20)
    with pytest.raises(Unmet, match="256 MiB"):
        copy_submission(str(source), str(tmp_path / "copy"))
    assert not (tmp_path / "copy" / "a").exists()


def test_a_folder_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no folder"):
        copy_submission(str(tmp_path / "missing"), str(tmp_path / "copy"))


@pytest.fixture(
    params=[(rootless, sandboxed) for rootless in MODES for sandboxed in (True, False)],
    ids=lambda kind: ("rootless" if kind[0] else "root") + (", sandboxed" if kind[1] else ""),
)
def means(request: pytest.FixtureRequest) -> Means:
    return Means(request.param[1], request.param[0], uid=400_000_000 + os.getpid())


@pytest.fixture
def lab(means: Means) -> Iterator[Lab]:
    topology = as_checked(load_topology_uncached(str(LABS / "alone.yaml"), {}))
    with checked_lab(topology, is_rootless=means.is_rootless, seed=1) as made:
        yield made


def _prepared(files: dict[str, str], lab: Lab, means: Means, tmp_path: Path) -> Prepared:
    copy_submission(str(make_submission(tmp_path, files)), str(tmp_path / "copy"))
    return prepare(str(tmp_path / "copy"), make_exercise(tmp_path, ""), lab, means)


def _said(files: dict[str, str], lab: Lab, means: Means, tmp_path: Path) -> str:
    exercise = make_exercise(tmp_path, "", name="02-small")
    prepared = _prepared(files, lab, means, tmp_path)
    submission = Submission(prepared, exercise, lab, means)
    ended = submission.run("host", "program", "one", "two words")
    assert ended.exit_status == 0, ended
    return ended.stdout.decode()


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"program.py": PYTHON}, "in python\n"),
        ({"program": SHELL}, "in shell\n"),
        ({"program": SHELL, "program.py": PYTHON}, "in shell\n"),
        ({"program.c": C, "Makefile": MAKEFILE}, "in C\n"),
        ({"program": SHELL, "program.c": C, "Makefile": MAKEFILE}, "in C\n"),
        ({"program.py": PYTHON, "program.c": C, "Makefile": MAKEFILE}, "in C\n"),
        ({"program.py": PYTHON, "Makefile": "lint:\n\tfalse\n"}, "in python\n"),
        ({"program": SHELL, "Makefile": "lint:\n\tfalse\n"}, "in shell\n"),
        (
            {"src/main.py": PYTHON, "submission.yaml": "programs: {program: python3 src/main.py}"},
            "in python\n",
        ),
        (
            {
                "a.c": C,
                "submission.yaml": "build: cc -o bin-a a.c\nprograms: {program: ./bin-a}",
            },
            "in C\n",
        ),
        (
            {
                "p.sh": 'echo "$2 $1"',
                "submission.yaml": "programs: {program: [sh, p.sh]}",
            },
            "two words one\n",
        ),
    ],
    ids=[
        "python",
        "executable",
        "executable before python",
        "make",
        "what is built may be old",
        "a starter beside what is built",
        "a Makefile for other things than python",
        "a Makefile for other things",
        "manifest",
        "build",
        "words",
    ],
)
def test_a_program_is_found_by_name_or_built(
    files: dict[str, str], said: str, lab: Lab, means: Means, tmp_path: Path
) -> None:
    assert _said(files, lab, means, tmp_path) == said


@pytest.mark.kernel
def test_a_program_that_is_missing_is_a_failure_that_says_what_is_there(
    lab: Lab, means: Means, tmp_path: Path
) -> None:
    with pytest.raises(Unmet) as raised:
        _said({"progam.py": PYTHON}, lab, means, tmp_path)

    assert raised.value.expected == 'a program called "program"'
    assert "progam.py" in raised.value.actual
    assert "chmod +x" in raised.value.hint


@pytest.mark.kernel
def test_a_program_that_does_not_compile_shows_what_the_compiler_says(
    lab: Lab, means: Means, tmp_path: Path
) -> None:
    with pytest.raises(Unmet) as raised:
        _prepared(
            {"program.c": "int main(void) { retrun 0; }", "Makefile": MAKEFILE},
            lab,
            means,
            tmp_path,
        )

    assert raised.value.expected == "`make -B program` builds the program"
    assert "retrun" in raised.value.actual


@pytest.mark.kernel
def test_without_make_a_makefile_is_nobodys_failure(
    lab: Lab, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"make\(1\) is not installed") as raised:
        _prepared({"program": SHELL, "Makefile": MAKEFILE}, lab, means, tmp_path)

    assert raised.value.exit_code == 3


@pytest.mark.kernel
def test_a_makefile_that_has_no_source_is_no_makefile_for_other_things(
    lab: Lab, means: Means, tmp_path: Path
) -> None:
    with pytest.raises(Unmet, match="builds the program") as raised:
        _prepared({"program.py": PYTHON, "Makefile": MAKEFILE}, lab, means, tmp_path)

    assert "No rule to make target 'program.c', needed by 'program'" in raised.value.actual


@pytest.mark.kernel
@pytest.mark.parametrize("file", ["program", "program.py"])
def test_a_report_names_the_file_that_was_run(
    file: str, lab: Lab, means: Means, tmp_path: Path
) -> None:
    prepared = _prepared({file: "#!/usr/bin/env python3\n"}, lab, means, tmp_path)
    exercise = make_exercise(tmp_path, "", name="02-small")

    program = Submission(prepared, exercise, lab, means).start(
        "host", "program", "one", ready=False
    )

    assert program.title == f"{file} one"
    program.expect_exit(0, within_s=LIMIT_S)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "manifest",
    ["programs: [a]", "- x", "bild: make", "programs: {program: {}}", "a: [", "build: 'x"],
)
def test_a_manifest_that_says_something_else_is_a_failure(
    manifest: str, lab: Lab, means: Means, tmp_path: Path
) -> None:
    with pytest.raises(Unmet, match=r"submission\.yaml says"):
        _prepared({"submission.yaml": manifest}, lab, means, tmp_path)


@pytest.mark.kernel
def test_a_program_can_be_started_through_a_command_in_its_sandbox(
    lab: Lab, means: Means, tmp_path: Path
) -> None:
    prepared = _prepared({"program": "#!/bin/sh\ncat file\necho $1\n"}, lab, means, tmp_path)
    exercise = make_exercise(tmp_path, "", name="02-small")
    submission = Submission(prepared, exercise, lab, means)
    writer = ("sh", "-c", 'echo READY >file; exec "$@"', "writer")

    program = submission.start("host", "program", "one", through=writer)

    assert program.title == "program one"
    program.expect_line("one")
    program.expect_exit(0)


@pytest.mark.kernel
def test_a_program_that_the_exercise_does_not_name_is_our_mistake(
    lab: Lab, means: Means, tmp_path: Path
) -> None:
    exercise = make_exercise(tmp_path, "", name="02-small")
    prepared = _prepared({"program.py": PYTHON}, lab, means, tmp_path)
    with pytest.raises(LabError, match='no program "other"'):
        Submission(prepared, exercise, lab, means).start("host", "other")
