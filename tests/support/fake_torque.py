#!/usr/bin/env python3
"""A Torque Checkout API on loopback, for tests and the quickstart.

It serves the four endpoints of the API's own page over HTTP or HTTPS, with both error shapes and
rate limit headers over a true rolling minute, and delivers signed webhooks, with retries, to the
webhookUrl given to generate-link. Shop is the API without a socket: simulations call it with a time
of their own.

Knobs (command line, or POST /__fake/knobs as JSON) make it as awkward as a real one may be:
  sort newest|oldest|shuffled, dates inclusive|exclusive|day|second|ignored, offset ignored,
  faults at the n-th request, webhooks dropped, doubled, delayed or reordered.
POST /__fake/orders/ID/pay|complete|cancel|refund moves an order as the provider would; GET
/__fake/log tells every request it has seen with its time, which is how the budget is judged.
"""
import argparse
import hashlib
import hmac
import http.server
import json
import random
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import deque
from datetime import datetime, timezone

EVENT_OF = {"pending": "order.created", "processing": "order.paid", "completed": "order.completed",
            "cancelled": "order.cancelled", "refunded": None}  # no refund event is documented

# Faults of an answer's content: seen alike by a simulation and over a socket.
CONTENT_FAULTS = ("total_low", "total_high", "has_more_always", "rows_missing", "rows_doubled",
                  "wrong_order", "empty_page", "no_pagination", "order_without_id", "string_total")
# Faults of the transport: only a socket can show them.
WIRE_FAULTS = ("429", "429_date", "429_bare", "slow_429", "500", "503", "401", "403", "reset",
               "silence", "drip", "cut_json", "cut_head", "wrong_type", "html", "redirect", "huge",
               "endless_head", "not_json", "other_error_shape", "cut_length")


def stamp(seconds):
    """RFC 3339 with milliseconds, as the API's examples but finer."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (moment.microsecond // 1000)


def seconds_of(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


class RollingMinute:
    """How many requests ANY 60 s may hold, counted at their arrival."""

    def __init__(self, limit):
        self.limit = limit
        self.times = deque()

    def admit(self, now):
        while self.times and self.times[0] <= now - 60:
            self.times.popleft()
        if len(self.times) >= self.limit:
            return False, 0, self.times[0] + 60
        self.times.append(now)
        return True, self.limit - len(self.times), self.times[0] + 60


class Shop:
    """The orders of one business and the API's answers about them."""

    def __init__(self, sort="newest", dates="inclusive", offset="honoured", details=True):
        self.orders = {}
        self.sort = sort
        self.dates = dates
        self.offset = offset
        self.details = details
        self.serial = 0
        self.shuffle = random.Random(1)

    # what the provider does ------------------------------------------------------------------
    def add(self, order_id, created, status="pending", total="59.98", currency="USD", items=None,
            email="customer@example.com", first="John", last="Doe", webhook_url=None):
        items = items if items is not None else [
            {"productId": "prod_1", "quantity": 2, "price": "29.99", "total": total}]
        self.orders[order_id] = {
            "id": order_id, "sessionId": "session_" + order_id, "status": status,
            "created": created, "updated": created, "total": total, "currency": currency,
            "items": items, "email": email, "first": first, "last": last,
            "webhook_url": webhook_url, "reason": None, "tx": "tx_" + order_id}
        return self.orders[order_id]

    def move(self, order_id, status, now):
        order = self.orders[order_id]
        order["status"] = status
        order["updated"] = now
        return order

    # the API's answers: (status, body as JSON text) ---------------------------------------------
    def link(self, request, now):
        items = (request.get("cart") or {}).get("items") or []
        if not items:
            return 400, self.error("Invalid cart data", "CHECKOUT_001", "cart.items",
                                   "At least one item is required")
        if not request.get("businessId"):
            return 400, self.error("Missing business", "CHECKOUT_002", "businessId", "is required")
        self.serial += 1
        order_id = "order_%06d" % self.serial
        cents = sum(round(float(i["price"]) * 100) * int(i["quantity"]) for i in items)
        total = "%d.%02d" % divmod(cents, 100)
        customer = request.get("customerData") or {}
        order = self.add(order_id, now, total=total,
                         currency=request["cart"].get("currency", "USD"),
                         items=[{"productId": i["productId"], "quantity": int(i["quantity"]),
                                 "price": str(i["price"]),
                                 "total": "%d.%02d" % divmod(
                                     round(float(i["price"]) * 100) * int(i["quantity"]), 100)}
                                for i in items],
                         email=customer.get("email", ""), first=customer.get("firstName", ""),
                         last=customer.get("lastName", ""),
                         webhook_url=(request.get("options") or {}).get("webhookUrl"))
        return 200, ('{"success":true,"checkoutUrl":"https://checkout.torque.fi/session/%s",'
                     '"sessionId":"%s","expiresAt":"%s",'
                     '"cartSummary":{"itemCount":%d,"productCount":%d,'
                     '"subtotal":%s,"total":%s,"currency":"%s"},"customerData":%s}' % (
                         order_id, order["sessionId"], stamp(now + 3600),
                         sum(i["quantity"] for i in order["items"]), len(order["items"]), total,
                         total, order["currency"], self.customer(order)))

    def show(self, order_id, details=False):
        order = self.orders.get(order_id)
        if order is None:
            return 404, self.error("Order not found", "CHECKOUT_404", "orderId", "no such order")
        return 200, '{"success":true,"order":%s}' % self.order(order, details)

    def cancel(self, order_id, request, now):
        order = self.orders.get(order_id)
        if order is None:
            return 404, self.error("Order not found", "CHECKOUT_404", "orderId", "no such order")
        if order["status"] != "pending":
            return 409, self.error("Order cannot be cancelled", "CHECKOUT_009", "status",
                                   "only pending orders can be cancelled")
        self.move(order_id, "cancelled", now)
        order["reason"] = request.get("reason") or "Customer request"
        return 200, ('{"success":true,"message":"Order cancelled successfully","order":{"id":"%s",'
                     '"status":"cancelled","cancelledAt":"%s","cancellationReason":%s}}' % (
                         order_id, stamp(now), json.dumps(order["reason"])))

    def rows(self, query):
        rows = list(self.orders.values())
        if query.get("status"):
            rows = [o for o in rows if o["status"] == query["status"]]
        if query.get("customerEmail"):
            rows = [o for o in rows if o["email"] == query["customerEmail"]]
        if self.dates != "ignored":
            if query.get("startDate"):
                start = seconds_of(query["startDate"])
                rows = [o for o in rows if self.since(o["created"], start)]
            if query.get("endDate"):
                end = seconds_of(query["endDate"])
                rows = [o for o in rows if self.until(o["created"], end)]
        if self.sort == "shuffled":
            self.shuffle.shuffle(rows)
            return rows
        return sorted(rows, key=lambda o: (o["created"], o["id"]), reverse=self.sort == "newest")

    def since(self, created, start):
        if self.dates == "day":
            return created // 86400 >= start // 86400
        if self.dates == "second":
            return int(created) >= int(start)
        return created > start if self.dates == "exclusive" else created >= start

    def until(self, created, end):
        if self.dates == "day":
            return created // 86400 <= end // 86400
        if self.dates == "second":
            return int(created) <= int(end)
        return created < end if self.dates == "exclusive" else created <= end

    def list(self, query, fault=None):
        limit = max(1, min(100, int(query.get("limit", 20))))
        offset = 0 if self.offset == "ignored" else max(0, int(query.get("offset", 0)))
        rows = self.rows(query)
        total = len(rows)
        page = rows[offset:offset + limit]
        more = offset + len(page) < total
        if fault == "total_low":
            total = max(0, total - 1 - total // 10)
        elif fault == "total_high":
            total += 7
        elif fault == "has_more_always":
            more = True
        elif fault == "rows_missing":
            page = page[:len(page) // 2]
        elif fault == "rows_doubled":
            page = (page[:len(page) // 2] * 2)[:len(page)]
        elif fault == "empty_page":
            page, total, more = [], 0, False
        listed = [self.row(o) for o in page]
        if fault == "order_without_id" and listed:
            listed[0] = '{"status":"pending","createdAt":"2024-01-15T10:00:00Z"}'
        shown = '"%d"' % total if fault == "string_total" else str(total)
        tail = "" if fault == "no_pagination" else (
            ',"pagination":{"total":%s,"limit":%d,"offset":%d,"hasMore":%s}' % (
                shown, limit, offset, "true" if more else "false"))
        return 200, '{"success":true,"orders":[%s]%s}' % (",".join(listed), tail)

    # JSON, with amounts as the very digits they were given -------------------------------------
    @staticmethod
    def error(text, code, field=None, message=None):
        details = ',"details":{"field":"%s","message":"%s"}' % (field, message) if field else ""
        return ('{"success":false,"error":"%s","code":"%s"%s,"timestamp":"%s",'
                '"requestId":"req_1"}') % (
            text, code, details, stamp(time.time()))

    @staticmethod
    def customer(order):
        return json.dumps({"email": order["email"], "firstName": order["first"],
                           "lastName": order["last"]}, separators=(",", ":"))

    def row(self, order):
        return ('{"id":"%s","status":"%s","createdAt":"%s","customerData":%s,'
                '"cart":{"itemCount":%d,"total":%s,"currency":"%s"}}' % (
                    order["id"], order["status"], stamp(order["created"]), self.customer(order),
                    sum(i["quantity"] for i in order["items"]), order["total"], order["currency"]))

    def cart(self, order):
        items = ",".join('{"productId":%s,"quantity":%d,"price":%s,"total":%s}' % (
            json.dumps(i["productId"]), i["quantity"], i["price"], i["total"])
            for i in order["items"])
        return '{"items":[%s],"subtotal":%s,"total":%s,"currency":"%s"}' % (
            items, order["total"], order["total"], order["currency"])

    def payment(self, order):
        paid = order["status"] in ("processing", "completed", "refunded")
        return '{"method":"crypto","transactionId":"%s","amount":%s,"status":"%s"}' % (
            order["tx"], order["total"], "confirmed" if paid else "waiting")

    def order(self, order, details):
        head = '{"id":"%s","sessionId":"%s","status":"%s","createdAt":"%s","updatedAt":"%s"' % (
            order["id"], order["sessionId"], order["status"], stamp(order["created"]),
            stamp(order["updated"]))
        if order["reason"]:
            head += ',"cancellationReason":' + json.dumps(order["reason"])
        if details:
            head += ',"customerData":%s,"cart":%s,"payment":%s' % (
                self.customer(order), self.cart(order), self.payment(order))
        return head + "}"

    def event(self, order, now):
        name = EVENT_OF[order["status"]]
        return None if name is None else (
            '{"event":"%s","timestamp":"%s","data":{"orderId":"%s","sessionId":"%s","status":"%s",'
            '"customerData":%s,"cart":%s,"payment":%s}}' % (
                name, stamp(now), order["id"], order["sessionId"], order["status"],
                self.customer(order), self.cart(order), self.payment(order))).encode()


class Webhooks:
    """Delivers events as the provider does: signed, retried three times, and not always well."""

    def __init__(self, secret, seed, drop=0.0, double=0.0, delay=0.0, reorder=0.0):
        self.secret = secret.encode()
        self.random = random.Random(seed)
        self.knobs = {"drop": drop, "double": double, "delay": delay, "reorder": reorder}
        self.counts = {"sent": 0, "dropped": 0, "refused": 0}
        self.lock = threading.Condition()
        self.queue = []
        self.busy = 0
        threading.Thread(target=self.run, daemon=True).start()

    def post(self, url, body):
        with self.lock:
            if self.random.random() < self.knobs["drop"]:
                self.counts["dropped"] += 1
                return
            copies = 2 if self.random.random() < self.knobs["double"] else 1
            for _ in range(copies):
                late = self.random.random() * 2 if self.random.random() < self.knobs["delay"] else 0
                self.queue.append([time.monotonic() + late, url, body, 0])
            if self.random.random() < self.knobs["reorder"]:
                self.random.shuffle(self.queue)
            self.lock.notify()

    def idle(self):
        with self.lock:
            return not self.queue and not self.busy

    def run(self):
        while True:
            with self.lock:
                now = time.monotonic()
                due = next((entry for entry in self.queue if entry[0] <= now), None)
                if due is None:
                    self.lock.wait(0.05)
                    continue
                self.queue.remove(due)
                self.busy += 1
            taken = self.send(due[1], due[2])
            with self.lock:
                self.busy -= 1
                due[3] += 1
                self.counts["sent" if taken else "refused"] += 1
                if not taken and due[3] <= 3:
                    due[0] = time.monotonic() + 0.2 * due[3]
                    self.queue.append(due)

    def send(self, url, body):
        mac = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(url, body, {
            "Content-Type": "application/json", "X-Torque-Signature": mac})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class FakeTorque(http.server.ThreadingHTTPServer):
    """The shop behind a socket."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, shop, webhooks, api_key="test-api-key-0123456789abcdef", per_minute=100,
                 port=0, prefix="/v1", certificate=None, key=None, tls_version=None,
                 keep_close_notify=True):
        super().__init__(("127.0.0.1", port), Handler)
        self.shop, self.webhooks, self.api_key, self.prefix = shop, webhooks, api_key, prefix
        self.lock = threading.Lock()
        self.rolling = RollingMinute(per_minute)
        self.faults = {}        # request number -> fault
        self.fault_of = {}      # part of a target -> fault of the next request that has it
        self.fault_always = None
        self.slow_seconds = 1.5  # of the fault "slow": what was true then is answered so much later
        self.reset_form = "epoch_s"
        self.log = []
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            if tls_version:
                context.minimum_version = context.maximum_version = tls_version
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              suppress_ragged_eofs=keep_close_notify)

    @property
    def url(self):
        return "%s://127.0.0.1:%d%s" % (self.scheme, self.server_address[1], self.prefix)

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def close(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # peers that leave are part of the tests

    def emit(self, order, now):
        body = self.shop.event(order, now)
        if body and order["webhook_url"]:
            self.webhooks.post(order["webhook_url"], body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def serve(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urllib.parse.urlsplit(self.path)
        if parts.path.startswith("/__fake/"):
            self.control(parts.path[len("/__fake/"):], json.loads(raw or b"{}"))
            return
        self.api(method, parts, raw)

    def api(self, method, parts, raw):
        server, now = self.server, time.time()
        with server.lock:
            number = len(server.log)
            admitted, remaining, reset = server.rolling.admit(now)
            part = next((part for part in server.fault_of if part in self.path), None)
            fault = (server.faults.pop(number, None) or server.fault_of.pop(part, None)
                     or server.fault_always)
            entry = {"n": number, "at": now, "method": method, "target": self.path, "fault": fault,
                     "authorized": self.headers.get("Authorization") == "Bearer " + server.api_key}
            server.log.append(entry)
        self.rate = {"X-RateLimit-Limit": server.rolling.limit, "X-RateLimit-Remaining": remaining,
                     "X-RateLimit-Reset": self.reset_value(reset, now)}
        if not admitted:
            entry["status"] = 429
            self.reply(429, Shop.error("Rate limit exceeded", "RATE_LIMIT"),
                       {"Retry-After": max(1, int(reset - now + 0.999))})
            return
        if not entry["authorized"]:
            entry["status"] = 401
            self.reply(401, Shop.error("Invalid API key", "AUTH_001"))
            return
        if fault in WIRE_FAULTS and self.break_wire(fault):
            return
        with server.lock:
            status, body = self.route(method, parts, raw, now, fault)
        if fault == "slow":
            time.sleep(server.slow_seconds)
        elif fault == "lost":  # done, and nobody is told
            self.close_connection = True
            return
        entry["status"] = status
        self.reply(status, body)

    def reset_value(self, reset, now):
        form = self.server.reset_form
        if form == "epoch_ms":
            return int(reset * 1000)
        return int(reset - now) if form == "delta" else int(reset)

    def route(self, method, parts, raw, now, fault):
        shop = self.server.shop
        path = parts.path[len(self.server.prefix):]
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            request = json.loads(raw) if raw else {}
        except ValueError:
            return 400, Shop.error("Invalid JSON", "CHECKOUT_000")
        if method == "POST" and path == "/checkout/generate-link":
            status, body = shop.link(request, now)
            if status == 200:
                self.server.emit(shop.orders["order_%06d" % shop.serial], now)
            return status, body
        if method == "GET" and path == "/checkout/orders":
            return shop.list(query, fault)
        if method == "GET" and path.startswith("/checkout/order-status/"):
            order_id = urllib.parse.unquote(path.rsplit("/", 1)[1])
            if fault == "wrong_order":
                order_id = next((o for o in shop.orders if o != order_id), order_id)
            return shop.show(order_id, query.get("includeDetails") == "true")
        if method == "POST" and path.startswith("/checkout/orders/") and path.endswith("/cancel"):
            order_id = urllib.parse.unquote(path.split("/")[3])
            status, body = shop.cancel(order_id, request, now)
            if status == 200:
                self.server.emit(shop.orders[order_id], now)
            return status, body
        return 404, '{"error":{"code":"NOT_FOUND","message":"No such endpoint","details":{}}}'

    def reply(self, status, body, extra=None, content_type="application/json"):
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in {**getattr(self, "rate", {}), **(extra or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def break_wire(self, fault):
        """True: the answer was given, or will never come."""
        later = datetime.fromtimestamp(time.time() + 2, timezone.utc).strftime(
            "%a, %d %b %Y %H:%M:%S GMT")
        if fault in ("429", "429_date", "429_bare"):
            extra = {"429": {"Retry-After": "2"}, "429_date": {"Retry-After": later},
                     "429_bare": {}}
            self.reply(429, Shop.error("Rate limit exceeded", "RATE_LIMIT"), extra[fault])
        elif fault == "slow_429":
            time.sleep(self.server.slow_seconds)
            self.reply(429, Shop.error("Rate limit exceeded", "RATE_LIMIT"), {"Retry-After": "5"})
        elif fault in ("500", "503", "401", "403"):
            self.reply(int(fault), Shop.error("Refused", "CHECKOUT_" + fault))
        elif fault == "other_error_shape":
            self.reply(500, '{"error":{"code":"INTERNAL","message":"broken",'
                            '"details":{"field":"x"}}}')
        elif fault == "html":
            self.reply(200, "<html><body>maintenance</body></html>", content_type="text/html")
        elif fault == "wrong_type":
            self.reply(200, '{"success":true,"orders":[]}', content_type="text/plain")
        elif fault == "not_json":
            self.reply(200, '{"success":true,"orders":[')
        elif fault == "redirect":
            self.reply(302, "", {"Location": self.path})
        else:
            self.break_stream(fault)
        return True

    def break_stream(self, fault):
        self.close_connection = True
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "silence":
            time.sleep(40)
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        try:
            if fault == "cut_head":
                self.wfile.write(head[:20])
            elif fault in ("cut_json", "cut_length"):
                self.wfile.write(head + b'Content-Length: 1000\r\n\r\n{"success":true,"orders":[')
            elif fault == "drip":
                self.wfile.write(head + b"Content-Length: 100000\r\n\r\n")
                for _ in range(400):
                    self.wfile.write(b" ")
                    time.sleep(0.1)
            elif fault == "endless_head":
                self.wfile.write(head)
                for number in range(20000):
                    self.wfile.write(b"X-Filler-%d: %s\r\n" % (number, b"a" * 100))
            elif fault == "huge":
                self.wfile.write(head + b"Content-Length: 1073741824\r\n\r\n")
                for _ in range(1024):
                    self.wfile.write(b" " * 1048576)
            self.wfile.flush()
        except OSError:
            pass  # the client had enough, as it should

    # the test's own door --------------------------------------------------------------------
    def control(self, path, request):
        server, now = self.server, time.time()
        words = path.split("/")
        with server.lock:
            if words[0] == "log":
                answer = server.log
            elif words[0] == "stats":
                answer = dict(server.webhooks.counts, idle=server.webhooks.idle(),
                              orders=len(server.shop.orders), requests=len(server.log))
            elif words[0] == "knobs":
                self.set_knobs(request)
                answer = {"ok": True}
            elif words[0] == "orders" and len(words) == 3:
                moves = {"pay": "processing", "complete": "completed", "cancel": "cancelled",
                         "refund": "refunded"}
                server.emit(server.shop.move(words[1], moves[words[2]], now), now)
                answer = {"ok": True}
            elif words[0] == "orders":
                answer = {o["id"]: o["status"] for o in server.shop.orders.values()}
            else:
                answer = None
        if answer is None:
            self.reply(404, '{"error":"no such door"}')
        else:
            self.reply(200, json.dumps(answer))

    def set_knobs(self, request):
        server = self.server
        for name, value in request.items():
            if name in server.webhooks.knobs:
                server.webhooks.knobs[name] = float(value)
            elif name in ("sort", "dates", "offset"):
                setattr(server.shop, name, value)
            elif name == "faults":
                server.faults = {int(n): fault for n, fault in value.items()}
            elif name in ("fault_always", "reset_form"):
                setattr(server, name, value)
            elif name == "per_minute":
                server.rolling.limit = int(value)
            else:
                raise KeyError(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", required=True, help="file with the webhook secret")
    parser.add_argument("--api-key", required=True, help="file with the API key")
    parser.add_argument("--per-minute", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    for knob in ("drop", "double", "delay", "reorder"):
        parser.add_argument("--" + knob, type=float, default=0.0)
    options = parser.parse_args()
    with open(options.secret) as secret, open(options.api_key) as key:
        webhooks = Webhooks(secret.read().strip(), options.seed, options.drop, options.double,
                            options.delay, options.reorder)
        server = FakeTorque(Shop(), webhooks, key.read().strip(), options.per_minute, options.port)
    print(server.url, flush=True)
    try:
        server.serve_forever(0.05)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
