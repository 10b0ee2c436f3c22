"""A check's own sockets in a node: every wait has an end, and what fails is told to the learner."""

import array
import errno
import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from labctl.grading.unmet import Unmet

Address = tuple[str, int]

PATIENCE = "LABCTL_PATIENCE"
"""Environment variable: how many times as long as usual checks wait, on a machine that is busy."""

WITHIN_S = 5.0 * float(os.environ.get(PATIENCE, "1"))
"""How long a check waits for what should come at once: much longer than it takes anywhere."""

_DATAGRAM_BYTES = 65536
_SIOCOUTQ = termios.TIOCOUTQ
_SIOCINQ = termios.FIONREAD

_REFUSED = "refused: an ICMP port unreachable came back, so nobody has that port open"
_RESET = "the connection was reset (RST)"


class Udp:
    """A UDP socket of a check."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    @property
    def address(self) -> Address:
        """Return its own address and port."""
        return _address(self.socket.getsockname())

    def send(self, data: bytes, to: Address | None = None) -> None:
        """Send one datagram, to its peer if it is connected. Raises ``Unmet`` where that refused."""
        try:
            if to is None:
                self.socket.send(data)
            else:
                self.socket.sendto(data, to)
        except ConnectionRefusedError:
            raise Unmet("the port is open", _REFUSED) from None

    def receive(
        self, *, expected: str = "a datagram", hint: str = "", within_s: float = WITHIN_S
    ) -> bytes:
        """Return the next datagram. Raises ``Unmet`` where none comes, or the port is closed."""
        return self.receive_from(expected=expected, hint=hint, within_s=within_s)[0]

    def receive_from(
        self, *, expected: str = "a datagram", hint: str = "", within_s: float = WITHIN_S
    ) -> tuple[bytes, Address]:
        """Return the next datagram and who sent it. Raises ``Unmet`` as ``receive`` does."""
        self.socket.settimeout(within_s)
        try:
            data, sender = self.socket.recvfrom(_DATAGRAM_BYTES)
        except TimeoutError:
            raise Unmet(f"{expected} within {within_s:g} s", "nothing arrived", hint) from None
        except ConnectionRefusedError:
            raise Unmet(f"{expected} within {within_s:g} s", _REFUSED, hint) from None
        return data, _address(sender)

    def waiting(self) -> list[bytes]:
        """Return the datagrams that have arrived by now and were not received yet."""
        self.socket.setblocking(False)
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(_DATAGRAM_BYTES))
            except BlockingIOError:
                return datagrams

    def error(self, within_s: float = WITHIN_S) -> str:
        """Wait for an error or a datagram; return the error's name, as ``ECONNREFUSED``, or ``""``."""
        self.socket.settimeout(within_s)
        try:
            self.socket.recv(_DATAGRAM_BYTES)
        except OSError as error:
            return _name(error)
        return ""

    def close(self) -> None:
        self.socket.close()


class Tcp:
    """One end of a TCP connection that a check has made or accepted."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._unread = b""

    @property
    def address(self) -> Address:
        """Return its own address and port."""
        return _address(self.socket.getsockname())

    @property
    def peer(self) -> Address:
        """Return the other end's address and port."""
        return _address(self.socket.getpeername())

    @property
    def unread(self) -> int:
        """Return how many bytes have arrived and were not received yet (SIOCINQ, tcp(7))."""
        return self._queue(_SIOCINQ) + len(self._unread)

    @property
    def unacknowledged(self) -> int:
        """Return how many bytes were sent and not acknowledged yet (SIOCOUTQ, tcp(7))."""
        return self._queue(_SIOCOUTQ)

    def send(self, data: bytes, *, hint: str = "", within_s: float = WITHIN_S) -> None:
        """Send all of it. Raises ``Unmet`` where the other end takes it not, or is gone."""
        self.socket.settimeout(within_s)
        expected = f"the connection takes {len(data)} bytes"
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise Unmet(
                f"{expected} within {within_s:g} s",
                "the other end does not receive them: its buffer is full",
                hint,
            ) from None
        except OSError as error:
            _gone(error, expected, hint)

    def receive(
        self,
        size: int = 65536,
        *,
        expected: str = "some bytes",
        hint: str = "",
        within_s: float = WITHIN_S,
    ) -> bytes:
        """Return what one recv(2) gives; nothing at the end of the stream. Raises ``Unmet``."""
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        self.socket.settimeout(within_s)
        try:
            return self.socket.recv(size)
        except OSError as error:
            if not _name(error) or isinstance(error, BlockingIOError):
                raise Unmet(f"{expected} within {within_s:g} s", "nothing arrived", hint) from None
            _gone(error, expected, hint)

    def receive_exactly(
        self, size: int, *, expected: str = "", hint: str = "", within_s: float = WITHIN_S
    ) -> bytes:
        """Return so many bytes. Raises ``Unmet`` where fewer come before the end or in time."""
        return self._receive_until(
            lambda data: size if len(data) >= size else None,
            expected or f"{size} bytes",
            hint,
            within_s,
        )

    def line(
        self, *, expected: str = "a line", hint: str = "", within_s: float = WITHIN_S
    ) -> bytes:
        """Return the next line without its LF. Raises ``Unmet`` where none comes."""
        return self._receive_until(
            lambda data: data.find(b"\n") + 1 or None, expected, hint, within_s
        ).removesuffix(b"\n")

    def everything(
        self,
        *,
        expected: str = "the end of the stream (FIN)",
        hint: str = "",
        within_s: float = WITHIN_S,
    ) -> bytes:
        """Return all bytes up to the end of the stream. Raises ``Unmet`` where it does not end."""
        data, self._unread = self._unread, b""
        try:
            for chunk in self._chunks(expected, within_s):
                if not chunk:
                    return data
                data += chunk
        except Unmet as error:
            raise Unmet(
                f"{expected} within {within_s:g} s",
                f"{error.actual} after {len(data)} bytes" if data else error.actual,
                hint,
            ) from None
        raise Unmet(f"{expected} within {within_s:g} s", f"{len(data)} bytes and no end", hint)

    def expect_end(self, *, hint: str = "", within_s: float = WITHIN_S) -> None:
        """Wait for the other end's FIN. Raises ``Unmet`` where bytes, RST or nothing comes."""
        expected = "the other end closes the connection (FIN)"
        data = self.receive(expected=expected, hint=hint, within_s=within_s)
        if data:
            raise Unmet(expected, f"{len(data)} bytes came: {data[:60]!r}", hint)

    def error(self, within_s: float = WITHIN_S) -> str:
        """Wait for the end of the stream or an error; return the error's name, or ``""``."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
        except OSError as error:
            return _name(error)
        return ""

    def finish(self) -> None:
        """Send FIN; the other direction stays open. Raises ``Unmet`` where there was an RST."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                raise Unmet("the connection is still there", _RESET) from None
            raise

    def reset(self) -> None:
        """Close with RST (SO_LINGER with no time, socket(7))."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close: FIN, or RST if bytes were not received."""
        self.socket.close()

    def _queue(self, request: int) -> int:
        value = array.array("i", [0])
        fcntl.ioctl(self.socket, request, value)
        return value[0]

    def _receive_until(
        self,
        end_of: Callable[[bytes], int | None],
        expected: str,
        hint: str,
        within_s: float,
    ) -> bytes:
        chunks = self._chunks(expected, within_s)
        data, self._unread = self._unread, b""
        while (end := end_of(data)) is None:
            so_far = f" after {data[:60]!r}" if data else ""
            try:
                chunk = next(chunks)
            except StopIteration:
                raise Unmet(
                    f"{expected} within {within_s:g} s", f"it goes on{so_far}", hint
                ) from None
            except Unmet as error:
                raise Unmet(
                    f"{expected} within {within_s:g} s", f"{error.actual}{so_far}", hint
                ) from None
            if not chunk:
                raise Unmet(expected, f"the connection was closed (FIN){so_far}", hint)
            data += chunk
        self._unread = data[end:]
        return data[:end]

    def _chunks(self, expected: str, within_s: float) -> Iterator[bytes]:
        """Yield what comes, up to the deadline. Raises ``Unmet`` where nothing more does."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            yield self.receive(expected=expected, within_s=left_s)
        # A check that no CPU has run for a while finds what was here in time all the same.
        waiting = self._queue(_SIOCINQ)
        while waiting >= 0:
            chunk = self.receive(expected=expected, within_s=0)
            yield chunk
            waiting -= len(chunk)


class Listener:
    """A listening socket of a check: the peer of a program that is a client."""

    def __init__(
        self,
        sock: socket.socket,
        keep: Callable[[socket.socket], socket.socket] = lambda sock: sock,
    ) -> None:
        """``keep`` is told of each connection, so that somebody closes it in the end."""
        self.socket = sock
        self._keep = keep

    @property
    def address(self) -> Address:
        """Return its own address and port."""
        return _address(self.socket.getsockname())

    def accept(
        self, *, expected: str = "the program connects", hint: str = "", within_s: float = WITHIN_S
    ) -> Tcp:
        """Return the next connection. Raises ``Unmet`` where none comes."""
        self.socket.settimeout(within_s)
        try:
            connection, _ = self.socket.accept()
        except TimeoutError:
            raise Unmet(f"{expected} within {within_s:g} s", "no connection came", hint) from None
        return Tcp(self._keep(connection))

    def close(self) -> None:
        self.socket.close()


def connect_error(sock: socket.socket, to: Address, within_s: float) -> str:
    """Connect; return the name of the error, as ``ECONNREFUSED``, or ``""``.

    No answer in time is ``ETIMEDOUT``, though the kernel would go on trying.
    """
    sock.settimeout(within_s)
    try:
        sock.connect(to)
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""


def _name(error: OSError) -> str:
    """Return the error's name; empty for the end of a socket's own timeout, which has no errno."""
    return errno.errorcode.get(error.errno, str(error)) if error.errno else ""


def _gone(error: OSError, expected: str, hint: str) -> NoReturn:
    if isinstance(error, ConnectionResetError):
        raise Unmet(expected, _RESET, hint) from None
    if isinstance(error, BrokenPipeError):
        raise Unmet(expected, f"{_RESET}, before that (EPIPE)", hint) from None
    if isinstance(error, TimeoutError):
        raise Unmet(expected, "the other end acknowledges nothing (ETIMEDOUT)", hint) from None
    raise error


def _address(name: object) -> Address:
    assert isinstance(name, tuple)
    return str(name[0]), int(name[1])
