"""Bad bodies, signatures and requests, one row each: its name, what is sent, the answer wanted.

A wanted answer of a body is the outcome, and of a quarantined one the reason: "bad_json" is short
for quarantined for that reason. All bodies look like those of a shop but for what is bad in them.
"""

import json
import random
from datetime import datetime, timezone
from pathlib import Path

from support import events, http, sign

DATA = Path(__file__).resolve().parent.parent / "data"
BODY_MAX = 1048576

# Words that are in what is sent and may be nowhere but in the tables.
EMAIL = "canary.email@example.com"
FIRST, LAST = "Canarina", "Kanarienvogel"
NOTE = "canary-note-4711"
CANARIES = [EMAIL, FIRST, LAST, NOTE]

CREATED = datetime(2024, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
HOLE = '"@"'  # where json.dumps would not write what a row needs


class Raw:
    """JSON text without quotes, written as it is."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


class Ids:
    """A new order id for each body, so that each is told alone."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.count = 0

    def __call__(self):
        self.count += 1
        return "%s_%04d" % (self.prefix, self.count)


ids = Ids("bad")


def order(order_id=None):
    """Its numbers add up and its session is its own."""
    order_id = order_id or ids()
    made = events.Order(order_id, CREATED, random.Random(order_id))
    made.first, made.last, made.email = FIRST, LAST, EMAIL
    return made


def told(event="order.paid", order_id=None, **members):
    members.setdefault("note", NOTE)
    return events.form1(event, order(order_id), **members)


def told2(event="order.paid", order_id=None, **members):
    members.setdefault("note", NOTE)
    return events.form2(event, order(order_id), event_id="evt_" + ids(), **members)


def envelope(change, form=told):
    """A good body, decoded, changed and encoded again."""
    body = json.loads(form(payment=None, cart=None) if form is told else form(amount=None))
    change(body)
    return json.dumps(body, ensure_ascii=False).encode()


def holed(raw, **members):
    """raw: bytes that stand in a member of their own."""
    body = told(metadata="@", **members)
    return body.replace(HOLE.encode(), raw)


def first_name(name):
    return told(customerData={"email": EMAIL, "firstName": name, "lastName": LAST})


def total(raw, **cart):
    """The amount of an order without lines, as JSON text."""
    return told(cart=dict({"total": Raw(raw), "currency": "EUR"}, **cart), payment=None)


def total_text(raw):
    return told(cart={"total": "@", "currency": "EUR"}, payment=None).replace(
        HOLE.encode(), raw.encode())


def pieces(raw):
    item = {"productId": "prod_pin", "quantity": Raw(raw), "price": 1}
    return told(cart={"items": [item], "currency": "EUR"}, payment=None)


def currency(word):
    return told(cart={"total": 1, "currency": word}, payment=None)


def status(raw, event="order.paid"):
    return told(event, status="@").replace(HOLE.encode(), raw.encode())


def typed(event):
    return told(event, status=None)


def told_at(stamp):
    return envelope(lambda body: body.update(timestamp=stamp))


def told2_at(raw):
    return envelope(lambda body: body.update(created="@"), told2).replace(
        HOLE.encode(), raw.encode())


def named(order_id):
    return envelope(lambda body: body["data"].update(orderId=order_id))


def named2(order_id):
    return envelope(lambda body: body["data"]["order"].update(id=order_id), told2)


def without(name):
    return envelope(lambda body: body.pop(name))


def data_is(value):
    return envelope(lambda body: body.update(data=value))


def filled(start, unit, end):
    """As many units as fit in the largest body."""
    return start + unit * ((BODY_MAX - len(start) - len(end)) // len(unit)) + end


def syntax_rows():
    good = told()
    text = good.decode()
    yield "empty body", b"", "bad_json"
    yield "spaces only", b"   \n", "bad_json"
    # Whether the parser or its caller refuses what is no object is theirs to say.
    for word in ("null", "true", "1", '"x"'):
        yield "top level " + word, word.encode(), "no_envelope|bad_json"
    yield "`[]`", b"[]", "no_envelope|bad_json"
    yield "depth 2,049", holed(b"[" * 2049 + b"]" * 2049), "too_deep"
    yield "1 M `[`", b"[" * 1_000_000, "too_deep"
    yield "depth bomb of objects", b'{"a":' * 2000 + b"1" + b"}" * 2000, "too_deep"
    yield "duplicate key at top", b'{"event":"order.paid",' + good[1:], "bad_json"
    yield "duplicate key in data", holed(b'1,"metadata":2'), "bad_json"
    yield '`{"a":1}x`', good + b"x", "bad_json"
    yield '`{"a":1}{"b":2}`', good + b'{"b":2}', "bad_json"
    yield "trailing NUL", good + b"\0", "bad_json"
    yield "trailing whitespace", told() + b" \r\n\t ", "applied"
    yield "UTF-8 BOM", b"\xef\xbb\xbf" + good, "bad_json"
    yield "UTF-32", text.encode("utf-32"), "bad_json"
    yield "UTF-16", text.encode("utf-16"), "bad_json"
    for name, raw in [
        ("overlong C0 AF", b"\xc0\xaf"), ("CESU `ED A0 80`", b"\xed\xa0\x80"),
        ("F4 90 beyond U+10FFFF", b"\xf4\x90\x80\x80"), ("lone continuation", b"\x80"),
        ("Latin-1 e9", b"caf\xe9"), ("raw NUL in a string", b"a\0b"),
        ("raw control characters in a string", b"a\x01\n\x1fb"),
    ]:
        yield name, holed(b'"' + raw + b'"'), "bad_json"
    for name, raw in [
        ("lone high surrogate", rb"\ud800"), ("lone low surrogate", rb"\udc00"),
        ("inverted pair", rb"\udc00\ud800"), ("`\\u0000` in a value", rb"a\u0000b"),
    ]:
        yield name, holed(b'"' + raw + b'"'), "applied"
        yield (name + " in a name", first_name(FIRST).replace(FIRST.encode(), raw),
               "applied, unknown customer_first_name")
    for name, raw in [("U+2028", "\u2028"), ("RTL override", "\u202e"), ("ZWJ", "a\u200db"),
                      ("emoji", "\U0001f600"), ("noncharacter U+FFFF", "\uffff")]:
        yield name + " in a name", first_name(FIRST + raw), "applied"
    yield "single quotes", text.replace('"', "'").encode(), "bad_json"
    yield "comments", good.replace(b"{", b"{/* x */", 1), "bad_json"
    yield "trailing comma", good[:-1] + b",}", "bad_json"
    yield "unquoted key", good.replace(b'"event"', b"event", 1), "bad_json"
    for word in ("0x1", "+1", ".5", "5.", "012", "NaN", "Infinity", "-Infinity"):
        yield "the number " + word, holed(word.encode()), "bad_json"
    yield "200,000 keys, all the same", filled(b"{", b'"":0,', b'"":0}'), "bad_json"
    keys = b",".join(b'"%x":0' % n for n in range(100_000))
    yield "100,000 keys", holed(b"{" + keys + b"}"), "applied"
    yield ("hash-collision keys", (DATA / "events/colliding_keys.json").read_bytes(), "applied")
    yield "500,000 small values", holed(b"[%s1]" % (b"1," * 500_000)), "applied"
    yield "500,000 small values for an event", filled(b"[", b"1,", b"1]"), "no_envelope"
    yield "one 900 KiB string", holed(b'"' + b"s" * 921600 + b'"'), "applied"
    yield "a body of the largest size", told().ljust(BODY_MAX), "applied"


def value_rows():
    yield "int 2^63-1", holed(b"9223372036854775807"), "applied"
    yield "int 2^63 in metadata", holed(b"9223372036854775808"), "applied"
    yield "20 digits in metadata", holed(b"12345678901234567890"), "applied"
    yield "int 2^63 as an amount", total("9223372036854775808"), "applied"
    yield "20 digits as an amount", total("12345678901234567890"), "applied"
    yield "1e400", total("1e400"), "applied, unknown total"
    yield "1e400 in metadata", holed(b"1e400"), "applied"
    yield "1e-400", total("1e-400"), "applied, unknown total"
    yield "1e131071", total("1e131071"), "applied, unknown total"
    yield "1e300", total("1e300"), "applied, unknown total"
    yield "-0", total("-0"), "applied"
    yield "negative amount", total("-0.01"), "applied"
    yield "negative quantity", pieces("-1"), "applied"
    yield "quantity 1.5", pieces("1.5"), "applied"
    yield "quantity 10^12", pieces("1000000000000"), "applied, unknown items.quantity"
    yield "amount as string", total_text('"59.98"'), "applied, assumed total"
    for word in ('"59,98"', '" 59.98"', '"x"', '""'):
        yield "amount as " + word, total_text(word), "applied, unknown total"
    yield "amount null", total("null"), "applied"
    for word in ("true", "[]", "{}"):
        yield "amount " + word, total(word), "applied, unknown total"
    yield "amount of the second form negative", told2(amount=Raw("-1")), "applied"
    yield ("payment amount as an array", told(payment={"amount": []}),
           "applied, unknown payment_amount")
    yield "currency usd", currency("usd"), "applied"
    for name, word in [("US", "US"), ("3 emoji", "\U0001f4b6" * 3), ("1 KiB", "E" * 1024)]:
        yield "currency " + name, currency(word), "applied, unknown currency"
    yield "currency USDX", currency("USDX"), "applied"
    yield "status `Completed`", status('"Completed"'), "applied"
    yield "status ` completed`", status('" completed"'), "applied"
    yield "status `completed\\u0000`", status(r'"completed\u0000"'), "applied, unknown status"
    yield "status unknown", status('"on_hold"'), "applied"
    yield "status empty", status('""'), "applied"
    yield "status null", status("null"), "applied"
    for word in ("1", "{}", "[]", "true"):
        yield "status " + word, status(word), "applied, unknown status"
    yield "event type 1 KiB", typed("e" * 1024), "ignored"
    yield "event type with SQL", typed("order.paid'; drop table torque.orders; --"), "ignored"
    yield "event type with CRLF", typed("order.paid\r\nlevel=error x=" + NOTE), "ignored"
    yield "event type a number", envelope(lambda body: body.update(event=1)), "applied"
    yield "event type a number, no status", envelope(
        lambda body: (body.update(event=1), body["data"].pop("status"))), "no_envelope"
    yield "event null beside type", envelope(lambda body: body.update(event=None), told2), "applied"
    yield "data missing", without("data"), "no_data"
    for value in (None, [], "x"):
        yield "data " + json.dumps(value), data_is(value), "no_data"
    yield "both envelopes", envelope(lambda body: body.update(type="order.paid")), "applied"
    yield "no event but a status", without("event"), "applied"
    yield "neither an event nor a status", envelope(
        lambda body: (body.pop("event"), body["data"].pop("status"))), "no_envelope"
    yield "customerData as string", told(customerData=EMAIL), "applied"
    yield "customerData with 1,000 fields", told(customerData=dict(
        {"field%d" % n: NOTE for n in range(1000)}, email=EMAIL)), "applied"


BAD_IDS = [
    ("null", None, "no_order_id"), ("1.5", 1.5, "bad_order_id"), ("-1", -1, "bad_order_id"),
    ("object", {}, "bad_order_id"),
    ("array", [], "bad_order_id"), ("empty", "", "bad_order_id"),
    ("of 129 characters", "a" * 129, "bad_order_id"),
    ("of 1 MB", "a" * 1_000_000, "bad_order_id"),
] + [(word, word, "bad_order_id") for word in [
    "'; DROP TABLE orders;--", "$1", "%s%n", "a\\b", r"E'\x00'", "../../v1/business", "..%2f",
    "%2e%2e/", "a?limit=1", "a#b", "a;b", "a&b", "@evil.test/", "//evil.test",
    "http://169.254.169.254/", " order_1", "order_1 ", ".", "..", "a\nb",
]] + [(repr(word.encode())[2:-1], word, "bad_order_id") for word in [
    "\uff4frder_1", "\u043erder_1", "caf\u00e9", "cafe\u0301",
]]


def identifier_rows():
    yield "orderId missing", envelope(lambda body: body["data"].pop("orderId")), "no_order_id"
    for name, value, reason in BAD_IDS:
        yield "orderId " + name, named(value), reason
        yield "data.order.id " + name, named2(value), reason
    yield "orderId 17", named(17), "applied"
    yield "data.order.id 18", named2(18), "applied"
    yield "orderId of 128 characters", named("a" * 128), "applied"
    yield "an id", named("order_case"), "applied"
    yield "the id in another case", named("Order_Case"), "applied"
    yield "another business", told(businessId="business_999"), "wrong_business"
    yield ("another business in the second form", told2(businessId="business_999"),
           "wrong_business")
    yield "two orders", envelope(
        lambda body: body["data"].update(order={"id": "order_other"})), "two_orders"
    yield "a session", told(sessionId="session_shared"), "applied"
    yield "the session of another order", told(sessionId="session_shared"), "applied"


def time_rows():
    yield "2016-12-31T23:59:60Z", told_at("2016-12-31T23:59:60Z"), "applied"
    for year in ("0000", "-001", "1969", "1999", "2101", "9999", "10000", "294277"):
        yield "year " + year, told_at(year + "-06-01T10:00:00Z"), "applied"
    for stamp in ("2024-06-01T10:00:00", "2024-06-01", "2024-06-01T10:00:00+25:00",
                  "2024-06-01T10:00:00+0530", "2024-06-01 10:00:00Z", "2024-06-01T10:00:00,5Z",
                  "2024-06-01T10:00:00.Z", "2024-02-30T10:00:00Z", "2024-13-01T10:00:00Z",
                  "2024-06-01T24:00:00Z", "2024-06-01T10:60:00Z", "2023-02-29T10:00:00Z",
                  "2024-06-01T10:00:60Z", ""):
        yield "time `%s`" % stamp, told_at(stamp), "applied"
    for stamp in ("2024-06-01T10:00:00-00:00", "2024-06-01t10:00:00z",
                  "2024-02-29T10:00:00Z",
                  "2024-06-01T10:00:00." + "123456789012345678901234567890" + "Z"):
        yield "time `%s`" % stamp, told_at(stamp), "applied"
    yield "unix seconds in the first form", told_at(1717236000), "applied"
    yield "unix seconds", told2_at("1717236000"), "applied"
    for name, raw in [("milliseconds", "1717236000000"), ("1e12", "1e12"), ("negative", "-1"),
                      ("float", "1717236000.5"), ("string-number", '"1717236000"'),
                      ("RFC 3339 in the second form", '"2024-06-01T10:00:00Z"')]:
        yield "unix time " + name, told2_at(raw), "applied"


BODIES = [("%s: %s" % (section, name), body, wanted) for section, rows in [
    ("D", syntax_rows()), ("E", value_rows()), ("F", identifier_rows()), ("G", time_rows()),
] for name, body, wanted in rows]

AMOUNTS = ["29.99", "100.10", "0.123456789012345678", "12345678901234567890.5", "0.10", "0"]


def head(method, target, *lines, host="orderd.test"):
    return "\r\n".join(["%s %s HTTP/1.1" % (method, target), "Host: " + host, *lines, "", ""]
                       ).encode()


def requests(secret):
    """Rows of A and B whose answer is the receiver's: (name, bytes, status, Allow or None)."""
    hidden = http.request_bytes(body=told(), headers={"Connection": "close"})
    length = "Content-Length: %d" % len(hidden)
    body = told()
    signed = sign.torque(body, secret)
    path = http.PATH
    for method in ("TRACE", "PUT", "DELETE", "PATCH", "GET", "post", "OPTIONS"):
        yield method, head(method, path), 405, "POST"
    yield "HEAD", head("HEAD", path), 405, "POST"
    yield "OPTIONS *", head("OPTIONS", "*"), 405, "POST"
    yield "CONNECT", head("CONNECT", "orderd.test:443", host="orderd.test:443"), 405, "POST"
    yield "GET with CL body + second request", head("GET", path, length) + hidden, 405, "POST"
    yield "HEAD with CL body + hidden GET", head("HEAD", path, length) + hidden, 405, "POST"
    yield "PUT, signed", http.request_bytes("PUT", path, body, signed), 405, "POST"
    for target in ("/", path + "/", path + "x", "/%77ebhooks/torque", "//webhooks/torque",
                   "/../webhooks/torque", "/" + NOTE, "/metrics", "/readyz", "/v1/business"):
        yield "POST " + target, http.request_bytes("POST", target, body, signed), 404, None
        yield "GET " + target, head("GET", target), 404, None
    evil = "http://evil.test/" + NOTE
    yield ("absolute-form with other host",
           http.request_bytes("POST", evil, body, signed, "evil.test"), 404, None)
    yield ("absolute-form with other host than Host",
           http.request_bytes("POST", evil, body, signed), 400, None)
    yield ("a body over the limit, announced",
           head("POST", path, "Content-Length: %d" % (BODY_MAX + 1)), 413, None)
    yield ("a body over the limit, in chunks", head("POST", path, "Transfer-Encoding: chunked")
           + b"%x\r\n" % (BODY_MAX + 1), 413, None)
    huge = holed(b'"' + b"s" * 10_000_000 + b'"')
    yield ("10 MB string", http.request_bytes("POST", path, huge, sign.torque(huge, secret)), 413,
           None)
    yield "neither CL nor TE, body = second request", head("POST", path) + hidden, 411, None
    yield ("signature in the trailer", head("POST", path, "Transfer-Encoding: chunked")
           + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
           + ("X-Torque-Signature: %s\r\n\r\n" % signed["X-Torque-Signature"]).encode(), 401, None)


def field(value, name="X-Torque-Signature"):
    return ["%s: %s" % (name, value)]


def lines(fields):
    return ["%s: %s" % one for one in fields.items()]


def torque_rows(secret):
    """(name, body, header lines, wanted): the scheme without a time, key = text."""
    def row(name, make, wanted, body=None):
        body = told() if body is None else body
        mac = sign.torque(body, secret)["X-Torque-Signature"]
        made = make(mac, body)
        return name, body, made if isinstance(made, list) else field(made), wanted

    def form(name, kind="text"):
        return lambda mac, body: lines(sign.torque(body, secret, form=name, kind=kind))

    def base64url(mac, body):
        text = sign.torque(body, secret, form="base64")["X-Torque-Signature"]
        return text.replace("+", "-").replace("/", "_")

    again = json.dumps(json.loads(told())).encode()
    compact = json.dumps(json.loads(again), separators=(",", ":")).encode()
    yield row("missing", lambda mac, body: [], "401")
    yield row("empty", lambda mac, body: "", "401")
    yield row("twice (good, bad)", lambda mac, body: field(mac) + field("0" * 64), "401")
    yield row("twice (bad, good)", lambda mac, body: field("0" * 64) + field(mac), "401")
    yield row("twice the same", lambda mac, body: field(mac) * 2, "401")
    yield row("good, bad in one header", lambda mac, body: mac + ", " + "0" * 64, "401")
    yield row("right hex + 1 nibble", lambda mac, body: mac + "0", "401")
    yield row("right hex - 1 nibble", lambda mac, body: mac[:-1], "401")
    yield row("last nibble wrong", lambda mac, body: mac[:-1] + "%x" % (int(mac[-1], 16) ^ 1),
              "401")
    yield row("upper-case hex", form("HEX"), "applied")
    yield row("`sha256=` prefix", form("prefixed"), "applied")
    yield row("`sha1=`", lambda mac, body: "sha1=" + mac, "401")
    yield row("`v0=`", lambda mac, body: "v0=" + mac, "401")
    yield row("`v1=`", lambda mac, body: "v1=" + mac, "401")
    yield row("standard base64", form("base64"), "applied")
    yield row("base64 without padding", lambda mac, body: sign.torque(
        body, secret, form="base64")["X-Torque-Signature"].rstrip("="), "401")
    yield row("base64url", base64url, "401", body_with_url_signature(secret))
    yield row("leading and trailing OWS", lambda mac, body: " \t " + mac + " \t ", "applied")
    yield row("obs-text in another header", lambda mac, body: field(mac) + field(
        NOTE + "\x80\u0665", "X-Note"), "applied")
    yield row("inner NUL", lambda mac, body: mac[:32] + "\0" + mac[32:], "401|400")
    yield row("inner space", lambda mac, body: mac[:32] + " " + mac[32:], "401")
    yield row("1,000 candidates", lambda mac, body: ",".join(["0" * 8] * 999 + [mac]), "401")
    yield row("8 KiB of junk", lambda mac, body: "j" * 8192, "401")
    yield row("MAC over re-serialised JSON", lambda mac, body: lines(sign.torque(
        compact, secret)), "401", again)
    yield row("MAC of empty body with empty body", form("hex"), "bad_json", b"")
    yield row("MAC by the decoded bytes", form("hex", "base64"), "401")
    yield row("in another header", lambda mac, body: field(mac, "X-Signature"), "401")


def body_with_url_signature(secret):
    """One whose signature is written differently in base64 and base64url."""
    while True:
        body = told()
        if set("+/") & set(sign.torque(body, secret, form="base64")["X-Torque-Signature"]):
            return body


def timestamped_rows(secret, now):
    def row(name, change, wanted, at=now, kind="text"):
        body = told()
        value = sign.timestamped(body, secret, at=at, kind=kind)["X-Torque-Signature"]
        return name, body, field(change(value)), wanted

    def claims(text):
        return lambda value: "t=" + text + value[value.index(","):]

    yield row("t and v1", str, "applied")
    yield row("`t=` twice", lambda value: "t=%d," % now + value, "401")
    yield row("no t", lambda value: value.split(",")[1], "401")
    yield row("v0", lambda value: value.replace("v1=", "v0="), "401")
    for text in ("-1", "1e9", "0x%x" % now, "9" * 20, " %d" % now, "", "%d.0" % now, "+%d" % now):
        yield row("`t=%s`" % text, claims(text), "401")
    yield row("t outside the window", str, "401", at=now - 3600)
    yield row("t ahead of the window", str, "401", at=now + 3600)
    yield row("another t than was signed", claims(str(now - 1)), "401")
    junk = ",v1=" + "0" * 64
    yield row("the 8th of 8 candidates", lambda value: value.replace(",v1", junk * 7 + ",v1"),
              "applied")
    yield row("the 9th of 9 candidates", lambda value: value.replace(",v1", junk * 8 + ",v1"),
              "401")
    yield row("1,000 candidates", lambda value: value + ",v1=0" * 1000, "401")
    yield row("MAC by the decoded bytes", str, "401", kind="base64")


def standard_rows(secret, now):
    def row(name, wanted, body=None, **changes):
        body = told() if body is None else body
        at, prefix = changes.pop("at", now), changes.pop("prefix", "webhook")
        fields = dict(sign.standard(body, secret, at=at, prefix=prefix), **changes)
        return name, body, lines({key: value for key, value in fields.items() if value}), wanted

    def by_text(body):
        value = sign.mac(secret.encode(), b"msg_1.%d." % now + body).digest()
        return "v1," + sign.base64.b64encode(value).decode()

    body = told()
    yield row("three headers", "applied")
    yield row("MAC by the secret's text", "401", body, **{"webhook-signature": by_text(body)})
    yield row("no id", "401", **{"webhook-id": None})
    yield row("no timestamp", "401", **{"webhook-timestamp": None})
    yield row("an id with a dot", "401", **{"webhook-id": "msg.1"})
    yield row("another id than was signed", "401", **{"webhook-id": "msg_2"})
    yield row("timestamp outside the window", "401", at=now - 3600)
    for text in ("-1", "1e9", "0x10", "9" * 20):
        yield row("timestamp " + text, "401", **{"webhook-timestamp": text})
    yield row("three svix headers", "applied", prefix="svix")
    yield row("svix without an id", "401", prefix="svix", **{"svix-id": None})
    yield row("the id under the other name", "401", prefix="svix",
              **{"svix-id": None, "webhook-id": "msg_1"})
    yield row("a wrong signature beside a right svix one", "401", prefix="svix",
              **{"webhook-id": "msg_1", "webhook-timestamp": str(now),
                 "webhook-signature": "v1," + "A" * 43 + "="})
