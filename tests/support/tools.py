"""Programs that some tests need beside orderd, and the Debian packages that bring them.

    @tools.needed("mandoc")
    def test_...
"""

import glob
import os
import shutil
import unittest

from . import pg

PACKAGES = {
    "bash": "bash",
    "caddy": "caddy",
    "clang": "clang",
    "clang-format-14": "clang-format-14",
    "debootstrap": "debootstrap",
    "gcc": "build-essential",
    "haproxy": "haproxy",
    "mandoc": "mandoc",
    "mount": "mount",
    "nginx": "nginx",
    "node": "nodejs",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "pgbouncer": "pgbouncer",
    "pgtap": "postgresql-15-pgtap",
    "script": "bsdutils",
    "setpriv": "util-linux",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
    "valgrind": "valgrind",
}


def absent(name):
    """The sentence for somebody whose test is skipped."""
    return "no %s here: install the package %s" % (name, PACKAGES[name])


def path(name):
    """Where it is, also for users that have no use for daemons; None: not here."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")


def missing(*names):
    """What is not here, and how to get it; "" when all is here."""
    return "; ".join(absent(name) for name in names if not path(name))


def needed(*names):
    return unittest.skipIf(missing(*names), missing(*names))


def pgtap_file():
    """Where the SQL of that extension is, for a server that is not Debian's; "": it is installed
    as one, or not at all."""
    found = pg.other_server() and glob.glob("/usr/share/postgresql/15/extension/pgtap--?.?.?.sql")
    return found[0] if found else ""


def pgtap_missing(database):
    """As missing(), of an extension of that database's server."""
    if pgtap_file():
        return ""
    found = database.value("select count(*) from pg_available_extensions where name = 'pgtap'")
    return "" if int(found) else absent("pgtap")
