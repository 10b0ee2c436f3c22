"""Conversations with tcp_timers."""

from labctl.testing import Submission, expect_equal

CONNECTED = """
    connect       -> srtt=- rttvar=- rto=1000 timer=1000
    advance 100   -> -
    ack 0         -> srtt=100 rttvar=50 rto={rto} timer=-
"""
CONNECTED_200 = CONNECTED.format(rto=300)


def play(submission: Submission, script: str, hint: str, *, least_ms: int | None = 200) -> None:
    """Tell a fresh tcp_timers the commands of a script, and compare: ``COMMAND -> ANSWER``."""
    arguments = [] if least_ms is None else [str(least_ms)]
    program = submission.start("client", "tcp_timers", *arguments, ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-5:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)
