"""HTTP as a test needs it: bytes exactly as written, and answers read strictly, with a deadline."""

import json
import socket
import time

PATH = "/webhooks/torque"


class Answer:
    def __init__(self, version, status, headers, body):
        self.version = version
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def outcome(self):
        return self.json().get("outcome")

    def __repr__(self):
        return "<%d %r>" % (self.status, self.body[:200])


class Connection:
    """One TCP connection to address ("127.0.0.1:8480" or (host, port)); tls: an SSLContext."""

    def __init__(self, address, seconds=10, tls=None, server_name=None):
        if isinstance(address, str):
            host, port = address.rsplit(":", 1)
            address = (host.strip("[]"), int(port))
        self._seconds = seconds
        self._buffer = b""
        self.socket = socket.create_connection(address, timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name or address[0])

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.settimeout(self._seconds)
        self.socket.sendall(data)

    def request(self, method="POST", path=PATH, body=b"", headers=None, seconds=None):
        self.send(request_bytes(method, path, body, headers))
        return self.answer(seconds, bodiless=method == "HEAD")

    def answer(self, seconds=None, bodiless=False):
        """The next answer; OSError when the peer closes first, TimeoutError at the deadline."""
        deadline = time.monotonic() + (self._seconds if seconds is None else seconds)
        head = self._until(b"\r\n\r\n", deadline).split(b"\r\n")
        version, status, _ = (head[0] + b"  ").split(b" ", 2)
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()
        body = b""
        if int(status) >= 200 and int(status) != 204 and not bodiless:
            body = self._exactly(int(headers["content-length"]), deadline)
        return Answer(version.decode(), int(status), headers, body)

    def rest(self, seconds=None):
        """Everything until the peer closes; a reset ends it as well."""
        deadline = time.monotonic() + (self._seconds if seconds is None else seconds)
        try:
            while self._more(deadline):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
        data, self._buffer = self._buffer, b""
        return data

    def closed(self, seconds=5):
        """True when the peer closes, having sent nothing more, within so many seconds."""
        try:
            return self.rest(seconds) == b""
        except TimeoutError:
            return False

    def _more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer by the deadline")
        self.socket.settimeout(left)
        data = self.socket.recv(1 << 16)
        self._buffer += data
        return data

    def _until(self, mark, deadline):
        while mark not in self._buffer:
            if not self._more(deadline):
                raise ConnectionError("closed before a whole answer: %r" % self._buffer[:200])
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def _exactly(self, size, deadline):
        while len(self._buffer) < size:
            if not self._more(deadline):
                raise ConnectionError("closed inside an answer: %r" % self._buffer[:200])
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found


def request_bytes(method="POST", path=PATH, body=b"", headers=None, host="orderd.test"):
    fields = {"Host": host}
    if body or method == "POST":
        fields["Content-Type"] = "application/json"
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    head = "%s %s HTTP/1.1\r\n" % (method, path)
    head += "".join("%s: %s\r\n" % field for field in fields.items()) + "\r\n"
    return head.encode("latin-1") + body


def post(address, body, headers=None, path=PATH, seconds=10, tls=None):
    """One request on a connection of its own."""
    with Connection(address, seconds, tls) as connection:
        return connection.request("POST", path, body,
                                  dict(headers or {}, Connection="close"), seconds)


def get(address, path, seconds=10):
    with Connection(address, seconds) as connection:
        return connection.request("GET", path, headers={"Connection": "close"}, seconds=seconds)


def raw(address, data, seconds=10, half_close=False):
    """Send exactly data; every byte that came until the peer closed."""
    with Connection(address, seconds) as connection:
        try:
            connection.send(data)
            if half_close:
                connection.socket.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before everything was sent: the answer may still be there
        return connection.rest(seconds)
