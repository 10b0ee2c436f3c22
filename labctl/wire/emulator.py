"""Moves the frames of a lab's impaired links through their channels; a program of its own.

usage: python -m labctl.wire.emulator < SOCKET

Runs in the lab's hidden namespace, started and watched by the holder as any program is. Standard
input is a listening SOCK_SEQPACKET socket: each connection brings one JSON request and gets one
JSON answer (``labctl.wire.client`` is the other end). What it has to say about overruns and a
fate log that cannot be written goes to standard output, which ``labctl logs`` shows.
"""

import errno
import os
import resource
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from labctl.errors import LabError, LabErrors
from labctl.kernel import messages
from labctl.kernel.timer import Timer
from labctl.topology.impairment_words import parse_impairment
from labctl.topology.rules import load_rules_text
from labctl.wire.fates import FateLog
from labctl.wire.flow import Flow
from labctl.wire.match import compile_filters
from labctl.wire.rules import RuleSet

_WARNS_EVERY_NS = 1_000_000_000


class Emulator:
    """The event loop over all flows and the control socket."""

    def __init__(self, listener: socket.socket, say: Callable[[str], None]) -> None:
        """``say`` takes a line for whoever reads the emulator's log."""
        self._listener = listener
        self._say = say
        self._flows: dict[str, Flow] = {}
        self._stirring: set[Flow] = set()
        """Those that may have something to do when no frame comes."""
        self._fates: dict[str, FateFile] = {}
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._timer = Timer()
        self._armed_ns = 0
        self._silent_until_ns = 0

    def run(self) -> None:
        """Serve for ever."""
        self._listener.setblocking(False)
        self._watch(self._listener.fileno(), self._accept)
        self._watch(self._timer.fileno(), self._on_timer)
        while True:
            for fd, _ in self._epoll.poll():
                reader = self._readers.get(fd)
                if reader is not None:
                    reader()
            self._release_due()

    def _on_timer(self) -> None:
        self._timer.acknowledge()
        self._armed_ns = 0

    def _pump(self, flow: Flow) -> None:
        self._stirring.add(flow)
        # Only who is behind can have lost any.
        if flow.pump() and (lost := flow.count_overruns()):
            now_ns = time.monotonic_ns()
            if now_ns >= self._silent_until_ns:
                self._silent_until_ns = now_ns + _WARNS_EVERY_NS
                self._say(
                    f"{flow.name}: overrun: {lost} frames lost that nobody asked for: "
                    "they come faster than this machine can carry them"
                )

    def _release_due(self) -> None:
        now_ns = time.monotonic_ns()
        earliest: int | None = None
        for flow in list(self._stirring):
            moment = flow.next_ns()
            if moment is not None and moment <= now_ns:
                flow.release(now_ns)
                if flow.has_left(now_ns):
                    self._remove(flow)
                    continue
                moment = flow.next_ns()
            if moment is None:
                self._stirring.discard(flow)
            elif earliest is None or moment < earliest:
                earliest = moment
        wanted_ns = 0 if earliest is None else max(earliest, 1)
        if wanted_ns != self._armed_ns:
            self._timer.set(wanted_ns)
            self._armed_ns = wanted_ns

    def _watch(self, fd: int, reader: Callable[[], None]) -> None:
        self._readers[fd] = reader
        self._epoll.register(fd, select.EPOLLIN)

    def _unwatch(self, fd: int) -> None:
        del self._readers[fd]
        self._epoll.unregister(fd)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # It would wake the loop for ever. The links go on; nobody can change them.
                self._unwatch(self._listener.fileno())
                self._say("out of open files: no more requests are taken")
            return
        client.setblocking(False)
        self._watch(client.fileno(), lambda: self._answer(client))

    def _answer(self, client: socket.socket) -> None:
        fds: list[int] = []
        try:
            request, fds = messages.receive(client)
            answer = {} if request is None else self._carry_out(request, fds)
        except BlockingIOError:
            return
        except (LabError, LabErrors, OSError) as error:
            answer = {"error": str(error)}
        except Exception as error:
            # Whatever it was that came, the links do not die of it.
            answer = {"error": f"not a request: {error!r}"}
        finally:
            for fd in fds:
                os.close(fd)
        self._unwatch(client.fileno())
        with client:
            try:
                messages.send(client, answer)
            except OSError:
                pass  # whoever asked has gone

    def _carry_out(self, request: dict[str, Any], fds: list[int]) -> dict[str, object]:
        match request["do"]:
            case "impair":
                impairment = parse_impairment(request["words"])
                flow = self._flow(request)
                flow.impair(impairment)
                return self._described(flow)
            case "rules":
                flow = self._arm(request, fds)
                return self._described(flow)
            case "clear":
                leaving = self._flows.get(request["direction"])
                if leaving is not None:
                    leaving.leave()
                    self._stirring.add(leaving)
                return {}
            case "show":
                flows = [flow for flow in self._flows.values() if not flow.is_leaving]
                return {"directions": [self._described(flow) for flow in flows]}
            case unknown:
                raise ValueError(f"{unknown} is not a request")

    def _described(self, flow: Flow) -> dict[str, object]:
        fates = self._fates.get(flow.name)
        return {**flow.as_json(), "unlogged": fates.unwritten if fates else 0}

    def _arm(self, request: dict[str, Any], fds: list[int]) -> Flow:
        name = request["direction"]
        file = load_rules_text(request["rules"])
        [(_, rules, _)] = file.directions
        filters = compile_filters(rules)
        flow = self._flow(request)
        fates = FateFile(os.dup(fds[0]), name, self._say)
        log = FateLog(fates.write, epoch_ns=time.time_ns() - time.monotonic_ns())
        source, _, target = name.partition("->")
        armed = RuleSet(
            rules,
            filters,
            seed=file.seed or 0,
            direction=name,
            log=log.of("-".join(sorted((source, target))), name),
        )
        flow.arm(armed)
        self._close_fates(name)
        self._fates[name] = fates
        return flow

    def _flow(self, request: dict[str, Any]) -> Flow:
        name = request["direction"]
        flow = self._flows.get(name)
        if flow is None:
            flow = Flow(name, request["reader"], request["writer"])
            self._flows[name] = flow
            self._watch(flow.reader.fileno(), lambda: self._pump(flow))
        self._stirring.add(flow)
        return flow

    def _remove(self, flow: Flow) -> None:
        self._unwatch(flow.reader.fileno())
        flow.close()
        self._stirring.discard(flow)
        del self._flows[flow.name]
        self._close_fates(flow.name)

    def _close_fates(self, direction: str) -> None:
        fates = self._fates.pop(direction, None)
        if fates is not None:
            fates.close()


class FateFile:
    """Where the fates of one direction are written. The links go on where it cannot be."""

    def __init__(self, fd: int, direction: str, say: Callable[[str], None]) -> None:
        self._fd = fd
        self._direction = direction
        self._say = say
        self.unwritten = 0
        """Lines that are missing because there was no room for them."""

    def write(self, line: str) -> None:
        """Append a line, all of it or nothing."""
        if self._fd < 0:
            return
        data = line.encode()
        try:
            written = os.write(self._fd, data)
            if written == len(data):
                return
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            why = os.strerror(errno.ENOSPC)
        except OSError as error:
            why = error.strerror or str(error)
        if not self.unwritten:
            self._say(f"{self._direction}: the fate log cannot be written: {why}")
        self.unwritten += 1

    def close(self) -> None:
        """Close the file; nothing is written after that."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def main() -> None:
    """Be the emulator of one lab, whose control socket is standard input."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.socket(fileno=0)
    Emulator(listener, _say).run()


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
