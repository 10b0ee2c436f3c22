"""Checks of threads-vs-events. The contract is in README.md."""

import random
import time
import xml.etree.ElementTree as ElementTree

import pytest

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    unmet,
    until,
)

PORT = 8090
SERVER = ("10.0.0.2", PORT)
HEADING = ["server", "clients", "requests", "ns", "requests_per_s", "p50_ns", "max_ns"]
MANY = 40

FIRST_SYN = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
SVG = "{http://www.w3.org/2000/svg}"


def ask(client: Tcp, line: bytes, hint: str) -> None:
    client.send(line)
    got = client.receive_exactly(len(line), expected=f"the line {line!r}", hint=hint)
    expect_equal(got, line, "the line that comes back", hint)


def has_been_read(lab: Lab, client: Tcp) -> bool:
    """Whether the server's program has taken in all that the client has sent."""
    if client.unacknowledged:
        return False
    port = client.address[1]
    return not any(s.recv_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)


def is_on_its_way(lab: Lab, client: Tcp) -> bool:
    """Whether the client has not acknowledged yet all that the server's program has sent."""
    port = client.address[1]
    return any(s.send_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)


def serve_many(lab: Lab, program: Program, hint: str) -> tuple[int, int, int]:
    """Connect many clients, some of them slow; return the threads before, with them and after."""
    idle = program.threads()
    slow = lab["client"].connect(SERVER)
    slow.send(b"half a li")
    if not until(lambda: has_been_read(lab, slow), WITHIN_S):
        unmet("the server receives what has come of a line", "it does not", hint)
    clients = [lab["client"].connect(SERVER) for _ in range(MANY)]
    for n, client in enumerate(clients):
        ask(client, b"request %d\n" % n, hint)
    busy = program.threads()
    # What it sends back of half a line, it sends before all of it sleeps again.
    until(program.is_asleep, WITHIN_S)
    until(lambda: not is_on_its_way(lab, slow), WITHIN_S)
    expect_equal(slow.unread, 0, "bytes that came back of half a line", "send whole lines back")
    slow.send(b"ne\nand two\n")
    wanted = b"half a line\nand two\n"
    got = slow.receive_exactly(len(wanted), hint=hint)
    expect_equal(got, wanted, "what comes back of lines in pieces", hint)
    for client in clients:
        client.close()
    slow.finish()
    expect_equal(slow.everything(hint=hint), b"", "after the client's FIN", hint)
    until(lambda: program.threads() == idle, WITHIN_S)
    return idle, busy, program.threads()


@pytest.mark.points(2)
def test_the_event_server_has_one_thread(lab: Lab, submission: Submission) -> None:
    """the event server serves many clients, and has one thread all the time"""
    program = submission.start("server", "event_server", "0.0.0.0", str(PORT))
    hint = "no call may wait for one client: poll() says who has something, and lines are kept for each"
    threads = serve_many(lab, program, hint)
    expect_equal(
        threads,
        (1, 1, 1),
        f"threads before, with and after {MANY} clients",
        "poll or epoll in one thread of one process; no pool",
    )


@pytest.mark.points(2)
def test_the_thread_server_has_one_for_each_client(lab: Lab, submission: Submission) -> None:
    """the thread server has a thread for each client, and none for those that have gone"""
    program = submission.start("server", "thread_server", "0.0.0.0", str(PORT))
    hint = "each client has a thread of its own, in which recv() may wait"
    idle, busy, after = serve_many(lab, program, hint)
    expect(
        busy == idle + MANY + 1,
        expected=f"{MANY + 1} threads more with {MANY + 1} clients than without",
        actual=f"{idle} without, {busy} with them",
        hint=hint,
    )
    expect_equal(after, idle, "threads when all clients have gone", "a thread ends with its client")


def table(stdout: bytes) -> list[list[str]]:
    """Return the lines of a table below its heading."""
    lines = [line.split("\t") for line in stdout.decode("utf-8", "replace").splitlines()]
    hint = "a heading and then a line for each number of clients, words separated by one tab"
    if not lines or lines[0] != HEADING:
        unmet("the heading " + " ".join(HEADING), str(lines[:1]), hint)
    for line in lines[1:]:
        if len(line) != len(HEADING) or not all(word.isdecimal() for word in line[1:]):
            unmet(f"{len(HEADING)} words, all but the first numbers", str(line), hint)
    return lines[1:]


def expect_consistent(rows: list[list[str]], elapsed_ns: int) -> None:
    """Compare the numbers of a table with each other, and with the time that has passed."""
    for row in rows:
        _, requests, ns, per_s, p50, most = map(int, row[1:])
        expect_equal(
            per_s,
            requests * 10**9 // ns,
            f"requests_per_s of {' '.join(row)}",
            "requests * 10^9 / ns",
        )
        expect(
            p50 <= most <= ns,
            expected="p50_ns, max_ns and ns, each no less than the one before",
            actual=f"{p50}, {most} and {ns}",
            hint="a latency is from a line's send() to its answer, and ns is from the first to the last",
        )
    total = sum(int(row[3]) for row in rows)
    expect(
        total <= elapsed_ns,
        expected=f"ns of all lines together: no more than the {elapsed_ns} that have passed",
        actual=f"{total}",
        hint="nanoseconds of CLOCK_MONOTONIC",
    )


@pytest.mark.points(2)
def test_all_clients_ask_at_the_same_time(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the load comes from all clients at once, and each waits for its answer"""
    listener = lab["server"].listen(PORT, backlog=64)
    count, requests = rng.randrange(5, 12), rng.randrange(2, 5)
    started_ns = time.monotonic_ns()
    program = submission.start(
        "client",
        "load_client",
        *map(str, SERVER),
        *("-s", "mine", "-c", str(count), "-n", str(requests)),
        ready=False,
    )
    hint = "all connect, then each sends a line, and its next one when the answer is there"
    clients = [listener.accept(expected=f"{count} connections", hint=hint) for _ in range(count)]
    held_ns = []
    seen: set[bytes] = set()
    for _ in range(requests):
        # Nobody is answered before everybody has asked: who goes one by one comes to no end.
        lines = [client.line(expected="a line from each client", hint=hint) for client in clients]
        since = time.monotonic_ns()
        seen.update(lines)
        # What was sent before the last of these lines may still be on its way.
        until(lambda: not any(s.send_q for s in lab["client"].sockets("tcp", PORT)), WITHIN_S)
        extra = [client.unread for client in clients if client.unread]
        expect_equal(extra, [], "bytes that came before the answer to the line before", hint)
        held_ns.append(time.monotonic_ns() - since)
        for client, line in zip(clients, lines, strict=True):
            client.send(line + b"\n")
    for client in clients:
        expect_equal(client.everything(hint=hint), b"", f"after {requests} lines", hint)
    expect_equal(len(seen), count * requests, "different lines", "two requests are never the same")
    ended = program.expect_exit(0, hint="exit status 0 when the table is printed")
    rows = table(ended.stdout)
    wanted = [["mine", str(count), str(count * requests)]]
    expect_equal([row[:3] for row in rows], wanted, "server, clients and requests", hint)
    expect_consistent(rows, time.monotonic_ns() - started_ns)
    expect(
        int(rows[0][6]) >= max(held_ns),
        expected=f"max_ns: at least {max(held_ns)}, as long as answers were held",
        actual=rows[0][6],
        hint="a latency ends when the answer is there",
    )


@pytest.mark.needs("test_all_clients_ask_at_the_same_time")
@pytest.mark.points(1)
@pytest.mark.parametrize("fault", ["a wrong answer", "closed"])
def test_a_wrong_answer_is_no_result(lab: Lab, submission: Submission, fault: str) -> None:
    """a wrong answer, or a connection that is closed, is no result but an error"""
    listener = lab["server"].listen(PORT)
    program = submission.start(
        "client", "load_client", *map(str, SERVER), "-c", "2", "-n", "3", ready=False
    )
    hint = (
        "compare each answer with its request; recv() of 0 bytes is an end: error: recv: …, exit 1"
    )
    clients = [listener.accept(hint=hint), listener.accept(hint=hint)]
    lines = [client.line(expected="a line from each client", hint=hint) for client in clients]
    clients[0].send(lines[0] + b"\n")
    if fault == "closed":
        clients[1].close()
    else:
        clients[1].send(lines[0] + b"\n")
    ended = program.expect_exit(1, hint=hint)
    expect(
        ended.stderr.startswith(b"error: "),
        expected="on stderr: error: …",
        actual=f"on stderr: {ended.stderr.decode(errors='backslashreplace').strip() or 'nothing'}",
        hint=hint,
    )


@pytest.mark.needs(
    "test_the_event_server_has_one_thread",
    "test_the_thread_server_has_one_for_each_client",
    "test_all_clients_ask_at_the_same_time",
)
@pytest.mark.points(1)
@pytest.mark.parametrize("server", ["event_server", "thread_server"])
def test_both_servers_are_measured(lab: Lab, submission: Submission, server: str) -> None:
    """the table has a line for each number of clients, and every client was there"""
    submission.start("server", server, "0.0.0.0", str(PORT))
    started_ns = time.monotonic_ns()
    ended = submission.run(
        "client", "load_client", *map(str, SERVER), "-s", server, "-c", "1,7,30", "-n", "5"
    )
    elapsed_ns = time.monotonic_ns() - started_ns
    if ended.exit_status:
        unmet("exit status 0", ended.stderr.decode(errors="backslashreplace"), "all are answered")
    rows = table(ended.stdout)
    wanted = [[server, str(n), str(5 * n)] for n in (1, 7, 30)]
    hint = "-c has the numbers of clients, in that order; each of them sends -n lines"
    expect_equal([row[:3] for row in rows], wanted, "server, clients and requests", hint)
    # Ports and sequence number: a SYN that is sent again is no other connection.
    connections = {seen.frame[34:42] for seen in lab.packets(FIRST_SYN, sent_by="client")}
    expect_equal(len(connections), 38, "connections in all (1 + 7 + 30)", hint)
    expect_consistent(rows, elapsed_ns)


@pytest.mark.points(2)
@pytest.mark.parametrize("column", ["requests_per_s", "p50_ns"])
def test_the_plot_has_both_curves(
    lab: Lab, submission: Submission, rng: random.Random, column: str
) -> None:
    """the picture is SVG, and has a curve for each server, on one scale"""
    # All of one curve is below the other, and neither is flat: a scale for each is always seen.
    data = {
        name: [
            (n, least + 5000 * step + rng.randrange(5000))
            for n, step in zip((1, 5, 20, 60, 100), rng.sample(range(5), 5), strict=True)
        ]
        for name, least in (("threads & more", 50_000), ("events", 1000))
    }
    lines = []
    for name, points in data.items():
        lines.append("\t".join(HEADING))
        for clients, value in points:
            other = rng.randrange(10**6, 10**7)
            values = [value, other] if column == "requests_per_s" else [other, value]
            words = [name, clients, clients * 10, 10**9, *values, 10**8]
            lines.append("\t".join(map(str, words)))
    feed = "".join(f"{line}\n" for line in lines).encode()
    arguments = [] if column == "requests_per_s" else [column]
    ended = submission.run("client", "load_plot", *arguments, feed=feed)
    if ended.exit_status:
        unmet(
            "exit status 0", ended.stderr.decode(errors="backslashreplace"), "README.md, the plot"
        )
    try:
        root = ElementTree.fromstring(ended.stdout)
    except ElementTree.ParseError as error:
        unmet("XML", f"it is not well-formed: {error}", "& and < in a name are &amp; and &lt;")
    expect_equal(root.tag, f"{SVG}svg", "the root", 'svg, with xmlns="http://www.w3.org/2000/svg"')
    # Any other polyline is an axis, or the like.
    curves = {
        name: line.get("points", "")
        for line in root.iter(f"{SVG}polyline")
        if (name := line.get("data-server"))
    }
    hint = 'for each server one polyline, with data-server="NAME" and points="x,y x,y …"'
    expect_equal(set(curves), set(data), "the curves", hint)
    texts = "".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    missing = [word for word in (*data, column, "clients") if word not in texts]
    expect_equal(missing, [], "words that no text has", "name both curves and both axes in text")
    expect_placed(root, curves, data)


def expect_placed(
    root: ElementTree.Element, curves: dict[str, str], data: dict[str, list[tuple[int, int]]]
) -> None:
    """Compare where points are with where they belong: on straight scales, the same for all."""
    hint = (
        "x grows with clients, y goes up with the value, from one scale for all; SVG's y goes down"
    )
    pairs = []
    for name, points in data.items():
        try:
            places = [tuple(map(float, word.split(","))) for word in curves[name].split()]
        except ValueError:
            unmet('points="x,y x,y …"', curves[name], hint)
        if len(places) != len(points) or any(len(place) != 2 for place in places):
            unmet(f'{len(points)} points for "{name}"', curves[name], hint)
        pairs += list(zip(points, places, strict=True))
    box = [float(word) for word in root.get("viewBox", "").replace(",", " ").split()]
    if len(box) != 4:
        unmet('viewBox="0 0 WIDTH HEIGHT"', root.get("viewBox", "nothing"), hint)
    for axis, size in ((0, box[2]), (1, box[3])):
        low = min(pairs, key=lambda pair: pair[0][axis])
        high = max(pairs, key=lambda pair: pair[0][axis])
        scale = (high[1][axis] - low[1][axis]) / (high[0][axis] - low[0][axis])
        expect(
            scale > 0 if axis == 0 else scale < 0,
            expected="more clients are further right, more is further up",
            actual=f"{'xy'[axis]} changes by {scale:g} for each one",
            hint=hint,
        )
        for point, place in pairs:
            right = low[1][axis] + scale * (point[axis] - low[0][axis])
            expect(
                abs(place[axis] - right) <= size / 100
                and box[axis] <= place[axis] <= box[axis] + size,
                expected=f"{'xy'[axis]}={right:.1f} for {point}, as the other points have it, inside of "
                "the picture",
                actual=f"{place[axis]}",
                hint=hint,
            )
