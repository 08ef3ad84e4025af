"""A disk of a few MiB that can be filled to its last byte, and relieved again.

    with small_disk.SmallDisk(160) as disk:
        cluster = pg.Cluster(directory=disk.path)
        disk.fill()                         # every write fails now: No space left on device
        disk.relieve()
"""

import atexit
import os
import subprocess
import tempfile

from . import tools

PAGE = 4096  # of a tmpfs


def impossible():
    """Why there is none here; "" when there is."""
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    if tools.missing("mount"):
        return tools.missing("mount")
    try:
        SmallDisk(1).close()
    except subprocess.CalledProcessError:
        return "mounting is not allowed here"
    return ""


class SmallDisk:
    def __init__(self, mebibytes):
        self.path = tempfile.mkdtemp(prefix="orderd-disk-")
        atexit.register(self.close)
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=%dm" % mebibytes,
                            "tmpfs", self.path], check=True, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            atexit.unregister(self.close)
            os.rmdir(self.path)
            raise
        self._ballast = os.path.join(self.path, "ballast")

    def free(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self):
        with open(self._ballast, "ab", buffering=0) as ballast:
            while self.free() >= PAGE:
                try:
                    ballast.write(b"x" * min(self.free(), 1 << 20))
                except OSError:  # somebody else had the last page
                    pass

    def relieve(self):
        os.unlink(self._ballast)

    def close(self):
        atexit.unregister(self.close)
        subprocess.run(["umount", "--lazy", self.path], check=True)
        os.rmdir(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
