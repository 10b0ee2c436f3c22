"""Checks of udp-fork. The contract is in README.md."""

import random
import signal

import ask1
import pytest
from ask1 import PORT, Question, expect_asked, start, state

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    expect,
    expect_equal,
    machine_error,
    until,
)

LAYOUT = "the four bytes of the question, then + or -, then the text, without LF"


@pytest.mark.points(1)
def test_the_answer_comes_from_the_port_that_was_asked(lab: Lab, submission: Submission) -> None:
    """a question is passed on, and the answer comes from the port that was asked"""
    source = ask1.source(lab)
    start(submission)
    for number, node in enumerate(("client1", "client2", "client1"), start=1):
        question = Question(lab, number, node)
        question.ask()
        expect_asked(source, [question], "the text and LF, over a new TCP connection")
        question.answer()
        question.expect_answer(b"+" + question.line, LAYOUT)


@pytest.mark.needs("test_the_answer_comes_from_the_port_that_was_asked")
@pytest.mark.points(0.5)
def test_a_line_may_come_in_pieces(lab: Lab, submission: Submission) -> None:
    """a line of the source may come in pieces"""
    source = ask1.source(lab)
    start(submission)
    question = Question(lab, 1)
    question.ask()
    hint = "TCP has no lines: recv() returns what is there; go on until there is LF"
    expect_asked(source, [question], hint)
    for piece in (b"half ", b"of it, ", b"and the rest", b"\n"):
        ask1.send_piece(lab, question, piece)
    question.expect_answer(b"+half of it, and the rest", hint)


TEXTS_AND_LINES = {
    "a zero byte and others": (b"what\0is \xff?", b"a zero \0 and more \xff"),
    "as long as they may be": (b"x" * 255, b"y" * 1024),
    "a line that is too long": (b"how much?", b"z" * 1025),
    "a line that is much too long": (b"and how much?", b"z" * 5000),
}


@pytest.mark.needs("test_the_answer_comes_from_the_port_that_was_asked")
@pytest.mark.points(0.5)
def test_text_and_line_are_bytes(lab: Lab, submission: Submission) -> None:
    """text and line are any bytes, up to 255 and 1024 of them; a longer line is cut"""
    source = ask1.source(lab)
    start(submission)
    hint = "a text is as long as its datagram says, a line ends at LF, and no other byte is an end"
    for number, (text, line) in enumerate(TEXTS_AND_LINES.values(), start=1):
        question = Question(lab, number)
        question.text, question.line = text, line
        question.ask()
        expect_asked(source, [question], hint)
        question.answer()
        question.expect_answer(b"+" + line[:1024], f"{hint}; of a line at most 1024 bytes go out")


SLOW = (
    "the source takes its time for one question; the parent must be back at recvfrom() long before: "
    "whatever may wait belongs into the child"
)


@pytest.mark.needs("test_the_answer_comes_from_the_port_that_was_asked")
@pytest.mark.points(2)
def test_a_slow_question_holds_up_nobody(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a question that takes long holds up no other"""
    source = ask1.source(lab)
    start(submission)
    questions = [Question(lab, number, f"client{number % 2 + 1}") for number in range(1, 6)]
    for question in questions:
        question.ask()
        expect_asked(source, [question], SLOW)
    for question in rng.sample(questions, len(questions)):
        question.answer()
        question.expect_answer(b"+" + question.line, f"{LAYOUT}; each child answers its own client")


@pytest.mark.needs("test_a_slow_question_holds_up_nobody")
@pytest.mark.points(1)
def test_each_question_has_a_child_and_no_child_stays(lab: Lab, submission: Submission) -> None:
    """each question has a child process, and no child stays when it is answered"""
    source = ask1.source(lab)
    program = start(submission)
    questions = [Question(lab, number) for number in range(1, 4)]
    for question in questions:
        question.ask()
        expect_asked(source, [question], SLOW)
    expect_equal(
        len(program.pids()),
        4,
        "processes while three questions wait",
        "the parent, and a child for each: fork(); if a shell script starts the program, with exec",
    )
    for left, question in zip((3, 2, 1), questions, strict=True):
        question.answer()
        question.expect_answer(b"+" + question.line, LAYOUT)
        expect_buried(program, left)


def expect_buried(program: Program, left: int) -> None:
    if until(lambda: len(program.pids()) <= left, WITHIN_S):
        return
    zombies = sum(state(pid) == "Z" for pid in program.pids())
    expect_equal(
        f"{len(program.pids())}, {zombies} of them zombies",
        f"{left}, 0 of them zombies",
        "processes",
        "a child that has ended stays as a zombie until its parent calls waitpid(), at SIGCHLD, for "
        "all that have ended; and it ends with _exit()",
    )


@pytest.mark.needs("test_each_question_has_a_child_and_no_child_stays")
@pytest.mark.points(1.5)
def test_children_that_end_together_are_all_buried(lab: Lab, submission: Submission) -> None:
    """children that end together are all buried, though there is one SIGCHLD"""
    source = ask1.source(lab)
    program = start(submission)
    questions = [Question(lab, number) for number in range(1, 6)]
    for question in questions:
        question.ask()
        expect_asked(source, [question], SLOW)
    parent, *_ = program.pids()
    program.signal(signal.SIGSTOP)
    if not until(lambda: state(parent) == "T", WITHIN_S):
        raise machine_error("the parent cannot be stopped", where="check")
    hint = "the child sends the answer itself and ends; the parent has no part in it"
    for question in questions:
        question.answer()
        question.expect_answer(b"+" + question.line, hint)
    expect(
        until(lambda: all(state(pid) in ("T", "Z") for pid in program.pids()), WITHIN_S),
        expected="the children end when they have answered",
        actual=f"the states of all processes are {' '.join(map(state, program.pids()))}",
        hint=hint,
    )
    program.signal(signal.SIGCONT)
    # Signals do not queue: the parent has got one.
    expect_buried(program, 1)


def queued(lab: Lab) -> int:
    """Return how much waits in the socket's queue (Recv-Q)."""
    return sum(socket.recv_q for socket in lab["server"].sockets("udp", PORT))


def ask_and_wait(lab: Lab, question: Question) -> None:
    """Ask, and wait until the question is in the queue of the program, which is frozen."""
    before = queued(lab)
    question.ask()
    until(lambda: queued(lab) > before, WITHIN_S)


@pytest.mark.needs("test_each_question_has_a_child_and_no_child_stays")
@pytest.mark.points(1.5)
def test_there_are_no_more_children_than_allowed(lab: Lab, submission: Submission) -> None:
    """there are no more children than allowed, and what is too much waits in the queue"""
    source = ask1.source(lab)
    program = start(submission, children=3)
    questions = [Question(lab, number) for number in range(1, 7)]
    program.freeze()
    for question in questions:
        ask_and_wait(lab, question)
    program.thaw()
    hint = (
        "while CHILDREN children wait, do not receive: the kernel's queue keeps the questions; when "
        "one has ended, go on"
    )
    asked = [expect_asked(source, questions, hint) for _ in range(3)]
    # When all of them sleep, whoever would have taken a fourth one has done so.
    if not until(program.is_asleep, WITHIN_S):
        expect_equal(
            " ".join(map(state, program.pids())),
            "S S S S",
            "states of the processes while all wait",
            "sleep until a child has ended or a question can be taken; do not look again and again",
        )
    children = sum(state(pid) != "Z" for pid in program.pids()) - 1
    expect_equal(children, 3, "children after 6 questions with -n 3", hint)
    expect(
        queued(lab) > 0,
        expected="the other questions are in the socket's queue (Recv-Q)",
        actual="it is empty: they have been received",
        hint=hint,
    )
    while asked:
        question = asked.pop(0)
        question.answer()
        question.expect_answer(b"+" + question.line, hint)
        questions.remove(question)
        if len(questions) > len(asked):
            asked.append(expect_asked(source, questions, hint))


@pytest.mark.needs("test_a_slow_question_holds_up_nobody")
@pytest.mark.points(1)
@pytest.mark.parametrize("source_is", ["not there", "closing", "silent"])
def test_an_answer_comes_when_the_source_fails(
    lab: Lab, submission: Submission, source_is: str
) -> None:
    """an answer comes also when the source refuses, closes or says nothing"""
    source = None if source_is == "not there" else ask1.source(lab)
    start(submission, wait_ms=300 if source_is == "silent" else 60000)
    question = Question(lab, 7)
    question.ask()
    hint = (
        "the child has to answer in every case, and to end: what fails is an answer with -, and so is "
        "a source that takes longer than MS"
    )
    # Nobody accepts what is silent: it is connected to all the same, and is never too late.
    if source and source_is == "closing":
        asked = expect_asked(source, [question], hint).asked
        assert asked is not None
        asked.close()
    said = question.udp.receive(expected="an answer with -", hint=hint)
    expect_equal(said[:5], question.name + b"-", "id and sign of the answer", hint)


GARBAGE = {
    "an empty datagram": b"",
    "an id without a text": b"\1\2\3\4",
    "a text of 256 bytes": b"\1\2\3\4" + b"x" * 256,
    "a text with LF": b"\1\2\3\4one\ntwo",
}


@pytest.mark.needs("test_the_answer_comes_from_the_port_that_was_asked")
@pytest.mark.points(1)
def test_garbage_is_not_asked(lab: Lab, submission: Submission) -> None:
    """what is no question is neither passed on nor answered"""
    source = ask1.source(lab)
    # With one child at a time, the questions are taken in order.
    program = start(submission, children=1)
    hint = "an id of 4 bytes, and 1 to 255 bytes without LF; all else is thrown away"
    for number, garbage in enumerate(GARBAGE.values(), start=1):
        question = Question(lab, number)
        question.udp.send(garbage, question.server)
        question.ask()
        expect_asked(source, [question], hint)
        question.answer()
        question.expect_answer(b"+" + question.line, hint)
        until(lambda: has_room_again(program), WITHIN_S)


def has_room_again(program: Program) -> bool:
    """Whether the children have ended, and the parent has done what it does then.

    Whether they are buried has a check of its own: zombies may be left.
    """
    living = [pid for pid in program.pids() if state(pid) != "Z"]
    # The end of a child wakes the parent; when it sleeps again it knows.
    return len(living) <= 1 and program.is_asleep()
