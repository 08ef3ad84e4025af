"""A Debian 12 that nobody has installed anything on, and a user who may use sudo.

    root = debian.Root(directory)
    with nspawn.Container(root=root.path, masked=debian.MASKED) as box:
        root.run(box, "sudo apt-get update", outside=True)

From the mirror that this machine's own apt uses.
"""

import os
import subprocess
import urllib.request

from . import nspawn, tools

RELEASE = "bookworm"
# What an installation has, and its smallest form has not.
INCLUDED = "dbus,sudo,systemd,systemd-sysv"
USER = "newcomer"
MASKED = [unit for unit in nspawn.MASKED if unit != "postgresql.service"]
SECONDS_MAX = 600
ANSWER_SECONDS = 20


def mirror():
    """Its address, or None when no source of apt here is a Debian archive."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    found = sorted({line.split()[2] for line in said.splitlines()
                    if line.startswith("Debian main ") and "security" not in line})
    return found[0] if found else None


def impossible():
    """Why there is none here; "" when there is one."""
    absent = nspawn.impossible() or tools.missing("debootstrap", "apt-get")
    if absent:
        return absent
    address = mirror()
    if not address:
        return "no source of apt here is a Debian archive"
    try:
        urllib.request.urlopen("%s/dists/%s/Release" % (address.rstrip("/"), RELEASE),
                               timeout=ANSWER_SECONDS).close()
    except OSError as error:
        return "the archive that apt uses cannot be reached: %s" % error
    return ""


class Root:
    def __init__(self, path):
        self.path = path
        subprocess.run(["debootstrap", "--variant=minbase", "--include=" + INCLUDED, RELEASE, path,
                        mirror()], check=True, timeout=SECONDS_MAX, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["chroot", path, "useradd", "--create-home", "--shell", "/bin/bash", USER],
                       check=True)
        for name, text in (("sudoers.d/" + USER, "%s ALL = (ALL) NOPASSWD: ALL\n" % USER),
                           ("hostname", RELEASE + "\n"),
                           ("hosts", "127.0.0.1 localhost %s\n" % RELEASE)):
            with open(os.path.join(path, "etc", name), "w", encoding="ascii") as file:
                file.write(text)

    @staticmethod
    def home(box):
        """Of the user, in a container that has been booted; a path of this machine."""
        return "/proc/%d/root/home/%s" % (box.leader, USER)

    @staticmethod
    def run(box, line, **options):
        """A line of shell as the user types it after a login."""
        return box.run("su", "-", USER, "-c", line, **options)
