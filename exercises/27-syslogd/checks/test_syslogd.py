"""Checks of syslogd. The contract is in README.md."""

import random
import re
from collections.abc import Callable
from functools import partial

import journal
import pytest
from journal import EVERYTHING, LISTENER, SERVER, SERVER_FROM_CLIENT2, expect_completed, hear, start

from labctl.testing import WITHIN_S, Lab, Program, Submission, expect, expect_equal, until

WHOLE = [
    b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
    b"<0>Jan  1 00:00:00 host kernel: panic",
    b"<191>Dec 31 23:59:59 host x",
    b"<133>Feb  9 08:07:06 10.9.8.7 app: text",
    b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
    b'<165>1 2003-08-24T05:14:15.000003-07:00 host app 8710 - [x@32473 iut="3"] text',
    b"<13>1 - - - - - -",
]

ODD_BYTES = [
    b"<133>Feb  9 08:07:06 10.9.8.7 no UTF-8: \xff\xfe\x80",
    b"<134>Feb  9 08:07:06 10.9.8.7 half a letter: \xc3",
    "<135>Feb  9 08:07:06 10.9.8.7 UTF-8: Grüße".encode(),
    b"<136>Feb  9 08:07:06 10.9.8.7 a zero byte \0, a line feed \n and a tab \t in it",
    b"<165>1 2003-10-11T22:14:15.003Z host app - - - \xef\xbb\xbf\xff\xfe",
]

INCOMPLETE = [
    b"hello there",
    b"Use the BFG!",
    b"su: 'su root' failed for lonvick on /dev/pts/8",
]

NEARLY_A_TIME = [
    b"Oct 1 22:14:15 one digit and no blank",
    b"oct 11 22:14:15 no capital",
    b"Oct 11 24:14:15 no such hour",
    b"Oct 32 22:14:15 no such day",
    b"Oct 11 22:14 no seconds",
    b"2003-10-11T22:14:15Z host a date of the other kind, and no version",
    b"2 2003-10-11T22:14:15Z - - - - - a version that nobody knows",
    b"1 apple a day",
    b"",
]

NO_PRIORITY = [
    b"hello there",
    b"<192>too large",
    b"<1000>too long",
    b"<013>a zero in front",
    b"<>nothing in it",
    b"<abc>no number",
    b"<-1>a sign",
    b"< 13>a blank",
    b"<13",
    b"<",
    b"13>no beginning",
    b"<192>1 2003-10-11T22:14:15Z h a - - - too large for the new ones, too",
    b"<999>Oct 11 22:14:15 host its own time is text now",
]

RULES: dict[str, Callable[[int, int], bool]] = {
    "*.info;mail.none;authpriv.none": lambda f, level: level <= 6 and f not in (2, 10),
    "mail.*": lambda f, level: f == 2,
    "auth,authpriv.warning": lambda f, level: f in (4, 10) and level <= 4,
    "*.emerg": lambda f, level: level == 0,
    "mail.debug;*.crit": lambda f, level: level <= 2,
    "local0.*;local0.none": lambda f, level: False,
    "kern.error;local7.warn;cron.panic": lambda f, level: (
        (f == 0 and level <= 3) or (f == 23 and level <= 4) or (f == 9 and level == 0)
    ),
}


@pytest.mark.points(1.5)
def test_a_whole_message_goes_on_as_it_is(lab: Lab, submission: Submission) -> None:
    """a whole message goes on as it is"""
    listener = journal.listener(lab)
    start(submission, "# everything", "", EVERYTHING)
    hint = (
        "RFC 3164: <PRI>Mmm dd hh:mm:ss HOST …, RFC 5424: <PRI>1 DATE …; what is complete is passed "
        "on byte by byte"
    )
    for message in WHOLE:
        journal.send(lab, message)
        expect_equal(hear(listener, hint, message), message, "what is passed on", hint)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(0.5)
def test_the_end_of_a_line_is_cut_off(lab: Lab, submission: Submission) -> None:
    """line feeds and zero bytes at the end of a message are cut off"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = (
        "some senders end a line, or a string in C: cut off LF and NUL at the end, as many as come"
    )
    for end in (b"\n", b"\0", b"\n\0", b"\0\n", b"\n\n", b"\0\0\0"):
        journal.send(lab, WHOLE[0] + end)
        expect_equal(hear(listener, hint, WHOLE[0] + end), WHOLE[0], "what is passed on", hint)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(0.5)
def test_messages_are_bytes(lab: Lab, submission: Submission) -> None:
    """bytes that are no text, or in no good UTF-8, go on as they are"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = "what comes are bytes: do not decode them, and no byte but at the end is an end"
    for message in ODD_BYTES:
        journal.send(lab, message)
        expect_equal(hear(listener, hint, message), message, "what is passed on", hint)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(1)
def test_what_is_missing_is_put_in_front(lab: Lab, submission: Submission) -> None:
    """time and host are put in front where they are missing"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = "what has no time behind the priority is text: put the time and the sender's address in front"
    for text in INCOMPLETE:
        journal.send(lab, b"<30>" + text)
        expect_completed(hear(listener, hint, text), 30, "10.0.1.2", text, hint)
    lab["client2"].udp().send(b"<0>hello", to=SERVER_FROM_CLIENT2)
    expect_completed(hear(listener, hint), 0, LISTENER, b"hello", hint)


@pytest.mark.needs("test_what_is_missing_is_put_in_front")
@pytest.mark.points(0.5)
def test_what_is_nearly_a_time_is_text(lab: Lab, submission: Submission) -> None:
    """what only looks like a time, or like the new format, is text"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = (
        "without a good Mmm dd hh:mm:ss, or 1 and a date, behind the priority all of that is text: "
        "put the time and the sender's address in front"
    )
    for text in NEARLY_A_TIME:
        journal.send(lab, b"<30>" + text)
        expect_completed(hear(listener, hint, text), 30, "10.0.1.2", text, hint)


@pytest.mark.needs("test_what_is_missing_is_put_in_front")
@pytest.mark.points(1)
def test_a_bad_priority_is_13(lab: Lab, submission: Submission) -> None:
    """what has no good priority gets 13, user.notice, and all of it is text"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = "a priority is <, a number from 0 to 191 without a 0 in front, >; otherwise it is text"
    for message in NO_PRIORITY:
        journal.send(lab, message)
        expect_completed(hear(listener, hint, message), 13, "10.0.1.2", message, hint)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(2)
def test_selectors(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """each rule gets what its selectors say"""
    ports = dict(zip(RULES, range(6001, 6100), strict=False))
    listeners = {rule: journal.listener(lab, port) for rule, port in ports.items()}
    everything = journal.listener(lab)
    lines = [f"{rule}\t@{LISTENER}:{port}" for rule, port in ports.items()]
    start(submission, *lines, EVERYTHING)
    priorities = [
        8 * facility + level
        for facility in (0, 1, 2, 4, 9, 10, 12, 16, 23)
        for level in (0, 2, 3, 4, 6, 7)
    ]
    rng.shuffle(priorities)
    hint = (
        "priority = 8 * facility + level; a level means this one and worse, which are smaller "
        "numbers; each selector sets its facilities anew, so a later one wins"
    )
    messages = {p: b"<%d>Oct 11 22:14:15 host number %d" % (p, p) for p in priorities}
    for message in messages.values():
        journal.send(lab, message)
        hear(everything, hint, message)
    # The rule for everything is the last one: what others get is on its way by now.
    for rule, gets in RULES.items():
        for priority, message in messages.items():
            if gets(*divmod(priority, 8)):
                got = hear(listeners[rule], f"{rule}: {hint}", message)
                expect_equal(got, message, f"the next message for {rule}", hint)
        expect_equal(listeners[rule].waiting(), [], f"what else comes for {rule}", hint)


@pytest.mark.needs("test_what_is_missing_is_put_in_front")
@pytest.mark.points(1)
def test_the_local_socket(lab: Lab, submission: Submission) -> None:
    """programs of the same host are heard at @/dev/log"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = (
        "a datagram socket of AF_UNIX, bound to a zero byte and /dev/log; what comes there is of "
        "localhost, and syslog(3) writes a time, but no host"
    )
    journal.send_locally(lab, b"<29>Oct  1 02:03:04 app[12]: hi", hint)
    got = hear(listener, hint)
    expect_equal(got, b"<29>Oct  1 02:03:04 localhost app[12]: hi", "what is passed on", hint)
    journal.send_locally(lab, b"<29>app[12]: hi", hint)
    expect_completed(hear(listener, hint), 29, "localhost", b"app[12]: hi", hint)
    journal.send_locally(lab, b"nothing at all", hint)
    expect_completed(hear(listener, hint), 13, "localhost", b"nothing at all", hint)
    journal.send_locally(lab, WHOLE[4], hint)
    expect_equal(hear(listener, hint), WHOLE[4], "what is passed on", hint)
    journal.send(lab, WHOLE[0])
    expect_equal(hear(listener, hint), WHOLE[0], "what is passed on of another host", hint)


@pytest.mark.needs("test_what_is_missing_is_put_in_front")
@pytest.mark.points(0.5)
def test_long_messages_are_cut(lab: Lab, submission: Submission) -> None:
    """long messages are cut: to 1024 bytes, those of RFC 5424 to 2048"""
    listener = journal.listener(lab)
    start(submission, EVERYTHING)
    hint = "cut what goes out, header and all; receive into a buffer that any datagram fits in"
    for whole, most in ((WHOLE[0], 1024), (WHOLE[4], 2048)):
        for length in (most, most + 1, 60_000):
            message = whole.ljust(length, b"x")
            journal.send(lab, message)
            got = hear(listener, hint, message)
            expect_equal(len(got), most, f"bytes of {length} that are passed on", hint)
            expect_equal(got, message[:most], "what is passed on", hint)
    journal.send(lab, b"<30>" + b"x" * 1020)
    got = hear(listener, hint)
    expect_equal(len(got), 1024, "bytes with time and host, which were missing", hint)
    expect_completed(
        got, 30, "10.0.1.2", b"x" * (1024 - len("<30>Oct 11 22:14:15 10.0.1.2 ")), hint
    )


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(0.5)
def test_one_message_is_one_line(lab: Lab, submission: Submission) -> None:
    """on standard output one message is one line, whatever is in it"""
    program = start(submission, "*.* -", EVERYTHING)
    listener = journal.listener(lab)
    hint = (
        "bytes below 32, and 127, are written as # and three octal digits; what is passed on by "
        "UDP stays as it is"
    )
    forged = b"<38>Oct 11 22:14:15 host login: bad\nOct 11 22:14:16 host login: root\x1b[2J\x7f\t."
    journal.send(lab, forged)
    program.expect_line(
        "<38>Oct 11 22:14:15 host login: bad#012Oct 11 22:14:16 host login: root#033[2J#177#011.",
        hint=hint,
    )
    expect_equal(hear(listener, hint), forged, "what is passed on", hint)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(0.5)
def test_nothing_that_comes_ends_it(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """bad rules, receivers that are gone and garbage are no reason to stop"""
    listener = journal.listener(lab)
    program = start(
        submission,
        "nosuch.info -",
        "mail.loud -",
        "mail -",
        "*.* | what",
        "*.* @10.0.1.2:9",
        EVERYTHING,
    )
    hint = "complain of the line on stderr, as syslog.conf:LINE: REASON, and go on with the next"
    for number in range(1, 5):
        complaint = f"syslog.conf:{number}:"
        expect(
            until(partial(is_said, program, complaint), WITHIN_S),
            expected=f"a line on stderr that begins {complaint}",
            actual=f"stderr: {program.stderr.decode(errors='replace') or 'nothing'}",
            hint=hint,
        )
    gone = "nobody has port 9 open there; a connected socket reports that at the next send()"
    for count in (1, 2, 3):
        journal.send(lab, WHOLE[0])
        expect_equal(hear(listener, gone, WHOLE[0]), WHOLE[0], "what the next rule gets", gone)
        wait_for_refusals(lab, count)
    garbage = "nothing that others send may end it: no length, and no mark where a number should be"
    client = lab["client1"].udp()
    # Bytes that are no text have a check of their own.
    noise = bytes(rng.choices(range(0x20, 0x7F), k=65507))
    for message in (b"", b"\0", b"<13>", b"<" * 2000, noise):
        client.send(message, to=SERVER)
    last = WHOLE[1]
    client.send(last, to=SERVER)
    expect(
        until(lambda: last in listener.waiting(), WITHIN_S),
        expected="a message after them is passed on",
        actual="it is not" if program.is_running() else f"the program {program.how_it_ended()}",
        hint=garbage,
    )


def is_said(program: Program, complaint: str) -> bool:
    return complaint.encode() in program.stderr


def wait_for_refusals(lab: Lab, count: int) -> None:
    match = "icmp[icmptype] == icmp-unreach"
    until(lambda: len(lab.packets(match, received_by="server")) >= count, WITHIN_S)


@pytest.mark.needs("test_a_whole_message_goes_on_as_it_is")
@pytest.mark.points(0.5)
@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
def test_logger_is_understood(lab: Lab, submission: Submission, form: str) -> None:
    """what logger(1) sends is whole, and goes on as it is"""
    listener = journal.listener(lab)
    start(submission, f"local0.notice @{LISTENER}:5514")
    words = ("-n", SERVER[0], "-P", str(SERVER[1]), "-d", "-t", "exam", form)
    for priority in ("local0.info", "local0.notice"):
        lab["client1"].run("logger", *words, "-p", priority, "message")
    hint = "compare what it sends, in a capture, with what you read of it"
    got = hear(listener, hint).decode(errors="replace")
    time_and_host = {
        "--rfc3164": rf"{journal.TIMESTAMP} \S+ exam: message",
        "--rfc5424": r"1 \d{4}-\S+ \S+ exam - - .*message",
    }
    expect(
        re.fullmatch(rf"<133>{time_and_host[form]}", got),
        expected="<133> and the rest as logger has sent it",
        actual=got,
        hint=hint,
    )
