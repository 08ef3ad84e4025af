"""Certificates for TLS servers of tests, made when they are needed.

    authority = certificate.Authority(directory)
    chain, key = authority.issue("DNS:shop.test", days=(-10, -1))
"""

import os
import subprocess
from datetime import datetime, timedelta, timezone

CONFIG = """
[ca]
default_ca = authority
[authority]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
[any]
commonName = supplied
"""


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, timeout=30, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _key(path):
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def _when(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


def self_signed(directory, names, common_name="localhost"):
    """(certificate, key) that no authority has signed."""
    os.makedirs(directory, exist_ok=True)
    chain = os.path.join(directory, "self.pem")
    key = _key(os.path.join(directory, "self.key"))
    _openssl("req", "-x509", "-new", "-key", key, "-out", chain, "-days", "2", "-subj",
             "/CN=" + common_name, "-addext", "subjectAltName=" + names)
    return chain, key


class Authority:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.certificate = self._path("ca.pem")
        self._ca_key = _key(self._path("ca.key"))
        self._count = 0
        _openssl("req", "-x509", "-new", "-key", self._ca_key, "-out", self.certificate, "-days",
                 "2", "-subj", "/CN=Test Authority", "-addext",
                 "keyUsage=critical,keyCertSign,cRLSign")
        open(self._path("index"), "w").close()
        with open(self._path("config"), "w") as config:
            config.write(CONFIG.format(directory=directory))

    def _path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, names, days=(-1, 2), common_name="localhost"):
        """names: "DNS:localhost,IP:127.0.0.1", or "" for a common name alone. days: from when
        until when, counted from today."""
        self._count += 1
        chain, request, extensions = (self._path("%d.%s" % (self._count, ending))
                                      for ending in ("pem", "csr", "ext"))
        key = _key(self._path("%d.key" % self._count))
        with open(extensions, "w") as file:
            file.write("basicConstraints=CA:FALSE\n")
            file.write("subjectAltName=%s\n" % names if names else "")
        _openssl("req", "-new", "-key", key, "-out", request, "-subj", "/CN=" + common_name)
        _openssl("ca", "-batch", "-notext", "-config", self._path("config"), "-in", request,
                 "-out", chain, "-cert", self.certificate, "-keyfile", self._ca_key, "-extfile",
                 extensions, "-startdate", _when(days[0]), "-enddate", _when(days[1]))
        return chain, key
