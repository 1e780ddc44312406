"""One client connection: performs plays, one request after the other."""

import asyncio
import socket
import struct
import time
from typing import Protocol, cast

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.plays import Act, Billed, Moment, Piece, Play, Sleep, Valve
from aldgate.testing.upstream.replies import encode, error_body
from aldgate.testing.upstream.requests import Inbox, Malformed, Recorded


class Script(Protocol):
    """What a connection asks of its server."""

    def is_due(self, moment: Moment) -> bool:
        """Whether the next scripted step begins at `moment`."""
        ...

    def saw(self, request: Recorded) -> None:
        """A request has been read whole."""
        ...

    def saw_malformed(self, reason: str) -> None:
        """Something came that is no request."""
        ...

    def begin(self, request: Recorded) -> Play | bytes:
        """The play for a request, or the bytes of its whole answer."""
        ...

    def bill(self, billed: Billed) -> None:
        """Add to what is charged."""
        ...

    def ended(self) -> None:
        """A scripted reply is complete."""
        ...

    def connected(self, connection: "Connection") -> None:
        """A client has connected."""
        ...

    def lost(self, connection: "Connection", *, early: bool) -> None:
        """A connection is gone; `early`: the client closed it before its reply was complete."""
        ...


class Connection(asyncio.Protocol):
    """Reads requests and performs what the script says. Replies never overlap; requests may queue behind one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._inbox = Inbox()
        self._reading: Recorded | None = None
        self._is_answered_early = False
        self._play: Play | None = None
        self._is_paused = self._is_waiting = self._is_doomed = False
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()

    @property
    def is_busy(self) -> bool:
        """A reply is under way."""
        return self._play is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Play at once if a step is due on connecting."""
        self._transport = cast(asyncio.Transport, transport)
        self._script.connected(self)
        if self._script.is_due("connected"):
            self._begin(Recorded("", "", b"", time.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Report whether the client left too soon."""
        early = self._play is not None
        self._play = None
        self._script.lost(self, early=early)

    def data_received(self, data: bytes) -> None:
        """Read, and answer what is complete."""
        if self._is_doomed:
            self.close()
            return
        self._inbox.feed(data)
        self._serve()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_paused = False
        if not self._is_waiting:
            self._resume()

    def close(self) -> None:
        """Close in good order once everything written has gone out."""
        self._play = None
        self._transport.close()

    def reset(self) -> None:
        """Send an RST once everything written has gone out."""
        self._play = None
        if self._transport.get_write_buffer_size():
            self._loop.call_soon(self.reset)
            return
        peer: socket.socket | None = self._transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _serve(self) -> None:
        try:
            self._serve_all()
        except Malformed as error:
            self._script.saw_malformed(str(error))
            self._transport.write(wire.whole(encode(error_body(str(error), None)), status=400))
            self.close()

    def _serve_all(self) -> None:
        while (self._play is None or self._reading is not None) and not self._transport.is_closing():
            request = self._reading or self._take_head()
            if request is None or not self._inbox.take_body(request):
                return
            self._reading = None
            self._script.saw(request)
            if self._is_answered_early:
                self._is_answered_early = False
            else:
                self._begin(request)

    def _take_head(self) -> Recorded | None:
        request = self._reading = self._inbox.take_head(time.monotonic())
        if request is not None and self._script.is_due("head"):
            self._is_answered_early = True
            self._begin(request)
        return request

    def _begin(self, request: Recorded) -> None:
        answer = self._script.begin(request)
        if isinstance(answer, bytes):
            self._transport.write(answer)
        else:
            self._play = answer
            self._perform()

    def _resume(self) -> None:
        self._is_waiting = False
        self._perform()
        self._serve()

    def _perform(self) -> None:
        while (play := self._play) is not None and not self._is_paused:
            piece = next(play, None)
            if isinstance(piece, bytes):
                self._transport.write(piece)
            elif piece is None:
                self._play = None
                self._script.ended()
            elif not self._obey(piece):
                return

    def _obey(self, piece: Piece) -> bool:
        """Do what is not writing; False if the play goes on later or not at all."""
        match piece:
            case Billed():
                self._script.bill(piece)
                return True
            case Sleep(seconds):
                self._is_waiting = True
                self._loop.call_later(seconds, self._resume)
            case Valve():
                self._is_waiting = not piece.wait(self._resume)
                return not self._is_waiting
            case Act.TURN:
                self._is_waiting = True
                self._loop.call_soon(self._resume)
            case Act.HANG:
                self._is_waiting = True
            case Act.CLOSE_AT_NEXT_BYTE:
                self._is_doomed = True
                return True
            case Act.RESET:
                self.reset()
            case _:
                self.close()
        return False
