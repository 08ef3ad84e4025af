"""Signatures as a sender makes them: torque, standard (Standard Webhooks, svix), timestamped."""

import base64
import hashlib
import hmac
import time

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def key_bytes(secret, kind="text"):
    """kind text: the secret as it stands; base64: the decoded part after whsec_."""
    if kind == "text":
        return secret.encode()
    return base64.b64decode(secret[len("whsec_"):] if secret.startswith("whsec_") else secret)


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256)


def torque(body, secret=SECRET, form="hex", kind="text", header="X-Torque-Signature"):
    """form: hex, HEX, prefixed (sha256=hex), base64."""
    digest = mac(key_bytes(secret, kind), body)
    value = {
        "hex": digest.hexdigest(),
        "HEX": digest.hexdigest().upper(),
        "prefixed": "sha256=" + digest.hexdigest(),
        "base64": base64.b64encode(digest.digest()).decode(),
    }[form]
    return {header: value}


def standard(body, secret=SECRET, message_id="msg_1", at=None, prefix="webhook"):
    """prefix: webhook or svix."""
    at = int(time.time() if at is None else at)
    signed = b"%s.%d." % (message_id.encode(), at) + body
    value = base64.b64encode(mac(key_bytes(secret, "base64"), signed).digest()).decode()
    return {prefix + "-id": message_id, prefix + "-timestamp": str(at),
            prefix + "-signature": "v1," + value}


def timestamped(body, secret=SECRET, at=None, header="X-Torque-Signature", kind="text"):
    at = int(time.time() if at is None else at)
    value = mac(key_bytes(secret, kind), b"%d." % at + body).hexdigest()
    return {header: "t=%d,v1=%s" % (at, value)}


def headers(scheme, body, secret=SECRET, **options):
    return {"torque": torque, "standard": standard, "timestamped": timestamped}[scheme](
        body, secret, **options)
