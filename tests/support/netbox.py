"""A proxy for one address, TCP or unix socket, that can be a bad network.

    box = netbox.Netbox("/tmp/x/.s.PGSQL.5432", listen="/tmp/box/.s.PGSQL.5432")
    box.black_hole()        # bytes are taken and go nowhere; black_hole("in"): answers only
    box.heal()

Modes apply to the connections there are and to new ones: black hole, refuse, delay, throttle, tiny
segments; heal() ends them all. cut() ends the connections there are with a reset, cut_after(n) each
one once n bytes went towards the server, cut_answers_after(n) once n bytes came back.
"""

import collections
import os
import select
import socket
import struct
import threading
import time

RESET = struct.pack("ii", 1, 0)
BLOCK = 1 << 16


class Netbox:
    """listen: None for an ephemeral loopback port, or the path of a unix socket."""

    def __init__(self, target, listen=None):
        self._target = target
        self._lock = threading.Lock()
        self._pairs = set()
        self._closing = False
        self._path = listen
        self.accepted = 0
        self.heal()
        if listen:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(listen)
            os.chmod(listen, 0o777)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.listen(512)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return self._path or "127.0.0.1:%d" % self._listener.getsockname()[1]

    def heal(self):
        self.holes = ()
        self.refusing = False
        self.distance = 0.0
        self.pause = 0.0
        self.segment = BLOCK
        self.limit = {"out": None, "in": None}

    def black_hole(self, *ways):
        """ways: "out" towards the server, "in" back from it; both when none is given."""
        self.holes = ways or ("out", "in")

    def refuse(self):
        """New connections are reset at once; those there are, too."""
        self.refusing = True
        self.cut()

    def delay(self, seconds):
        """One way, as a long line does: later, and no less at a time."""
        self.distance = seconds

    def throttle(self, bytes_per_second):
        self.segment = max(1, bytes_per_second // 50)
        self.pause = 0.02

    def tiny_segments(self):
        self.segment = 1

    def cut_after(self, count):
        self.limit["out"] = count

    def cut_answers_after(self, count):
        self.limit["in"] = count

    def cut(self):
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end()

    def close(self):
        if not self._closing:
            self._closing = True
            self._wake.send(b"x")
            self._thread.join()
            self._listener.close()
            self.cut()
            if self._path:
                os.unlink(self._path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def forget(self, pair):
        with self._lock:
            self._pairs.discard(pair)

    def _accept(self):
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            client, _ = self._listener.accept()
            self.accepted += 1
            try:
                if self.refusing:
                    raise OSError("refused")
                server = self._connect()
            except OSError:
                _abort(client)
                continue
            pair = _Pair(self, client, server)
            with self._lock:
                self._pairs.add(pair)
            pair.start()

    def _connect(self):
        if self._target.startswith("/"):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(self._target)
        else:
            host, port = self._target.rsplit(":", 1)
            server = socket.create_connection((host, int(port)), 5)
        return server


class _Pair:
    """Two threads, one for each way. They wait in select() only, so that the last one to leave
    can really reset: a socket that another thread reads from would stay open."""

    def __init__(self, box, client, server):
        self._box = box
        self._ends = (client, server)
        self._wake, self._woken = socket.socketpair()
        self._ended = False
        self._running = 2
        self._lock = threading.Lock()
        for end in self._ends:
            end.setblocking(False)
            if end.family != socket.AF_UNIX:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self):
        client, server = self._ends
        for way in (("out", client, server), ("in", server, client)):
            threading.Thread(target=self._run, args=way, daemon=True).start()

    def end(self):
        with self._lock:
            if self._running and not self._ended:
                self._ended = True
                self._wake.send(b"x")  # never read: it wakes both

    def _run(self, way, source, sink):
        try:
            self._carry(way, source, sink)
        except OSError:
            self.end()
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last:
            for end in self._ends:
                _abort(end) if self._ended else end.close()
            self._wake.close()
            self._woken.close()
            self._box.forget(self)

    def _carry(self, way, source, sink):
        carried = 0
        for data in self._arriving(source):
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            while data:
                size = self._box.segment
                segment, data = data[:size], data[size:]
                if way in self._box.holes:
                    continue
                if self._box.pause:
                    time.sleep(self._box.pause)
                limit = self._box.limit[way]
                if limit is not None and carried + len(segment) >= limit:
                    self._send(sink, segment[:max(0, limit - carried)])
                    self.end()
                    return
                if not self._send(sink, segment):
                    return
                carried += len(segment)

    def _arriving(self, source):
        """What is sent, when it has come the distance; the end is b""."""
        under_way, sending = collections.deque(), [source]
        while True:
            wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
            if wait == 0:
                yield under_way.popleft()[1]
                continue
            ready, _, _ = select.select(sending + [self._woken], [], [], wait)
            if self._woken in ready:
                return
            if ready:
                data = source.recv(BLOCK)
                under_way.append((time.monotonic() + self._box.distance, data))
                sending = [source] if data else []

    def _send(self, sink, segment):
        while segment:
            if not self._wait([], [sink]):
                return False
            segment = segment[sink.send(segment):]
        return True

    def _wait(self, read, write):
        ready, writable, _ = select.select(read + [self._woken], write, [])
        return self._woken not in ready and bool(ready or writable)


def _abort(end):
    if end.family != socket.AF_UNIX:
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            pass  # it is reset already
    end.close()
