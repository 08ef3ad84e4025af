"""A session with PostgreSQL over its unix socket: simple queries, text results.

Small enough to be read, quick enough for polling (no process for each query), and several sessions
can be interleaved statement by statement: send() returns at once, receive() waits.
"""

import socket
import struct
import time


class DatabaseError(Exception):
    def __init__(self, fields):
        self.sqlstate = fields.get("C", "")
        self.message = fields.get("M", "")
        super().__init__("%s: %s" % (self.sqlstate, self.message))


class Session:
    """Connects at once; raises OSError or DatabaseError when it cannot."""

    def __init__(self, directory, database, user="postgres", seconds=10, port=5432):
        self.notices = []  # primary messages of NOTICE and WARNING
        self.notifications = []  # (channel, payload)
        self._seconds = seconds
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(seconds)
            self._socket.connect("%s/.s.PGSQL.%d" % (directory, port))
            words = b"user\0%s\0database\0%s\0client_encoding\0UTF8\0\0" % (
                user.encode(), database.encode())
            self._socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
            self.receive()
        except BaseException:
            self._socket.close()
            raise

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def query(self, sql):
        """Rows (lists of str or None) of the last statement that returned any."""
        self.send(sql)
        return self.receive()

    def value(self, sql):
        rows = self.query(sql)
        return rows[0][0] if rows else None

    def send(self, sql):
        text = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)

    def receive(self, seconds=None):
        """What send() asked for. TimeoutError: no answer yet; it may be asked for again."""
        deadline = time.monotonic() + (self._seconds if seconds is None else seconds)
        if not hasattr(self, "_rows"):
            self._rows, self._error = [], None
        while True:
            kind, body = self._message(deadline)
            if kind == b"T":
                self._rows = []
            elif kind == b"D":
                self._rows.append(_row(body))
            elif kind == b"E":
                self._error = DatabaseError(_fields(body))
            elif kind == b"N":
                self.notices.append(_fields(body).get("M", ""))
            elif kind == b"A":
                channel, payload = body[4:-1].split(b"\0")
                self.notifications.append((channel.decode(), payload.decode()))
            elif kind == b"R" and body[:4] != b"\0\0\0\0":
                raise OSError("the cluster asks for a password")
            elif kind == b"Z":
                rows, error = self._rows, self._error
                del self._rows, self._error
                if error:
                    raise error
                return rows

    def _message(self, deadline):
        while True:
            if len(self._buffer) >= 5:
                size = struct.unpack("!i", self._buffer[1:5])[0] + 1
                if len(self._buffer) >= size:
                    whole, self._buffer = self._buffer[:size], self._buffer[size:]
                    return whole[:1], whole[5:]
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer from PostgreSQL")
            self._socket.settimeout(left)
            data = self._socket.recv(1 << 16)
            if not data:
                raise OSError("PostgreSQL closed the connection%s" % (
                    ": %s" % self._error if getattr(self, "_error", None) else ""))
            self._buffer += data


def _row(body):
    count = struct.unpack("!h", body[:2])[0]
    row, at = [], 2
    for _ in range(count):
        size = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        if size < 0:
            row.append(None)
        else:
            row.append(body[at:at + size].decode())
            at += size
    return row


def _fields(body):
    return {f[:1].decode(): f[1:].decode("utf-8", "replace") for f in body.split(b"\0") if f}


def literal(text):
    """text as an SQL string literal, or null."""
    if text is None:
        return "null"
    return "'" + str(text).replace("'", "''") + "'"
