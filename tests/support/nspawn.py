"""A booted systemd in a container: files under an overlay, this machine's or those of another
root, and a network of its own.

    with nspawn.Container() as box:
        box.run("systemctl", "start", "orderd-receive.socket")

Everything written in it goes to a tmpfs and is gone afterwards. Only root can do this.
"""

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading

from . import tools, wait

BOOT_SECONDS = 60
CLONE_NEWNET = 0x40000000
# They would only slow the boot, or need what a container does not have.
MASKED = ["postgresql.service", "nginx.service", "haproxy.service", "caddy.service",
          "console-getty.service", "systemd-logind.service",
          "systemd-networkd-wait-online.service", "apt-daily.timer", "apt-daily-upgrade.timer"]


def impossible():
    """Why no container can be booted here; "" when one can."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    if tools.missing("systemd-nspawn", "nsenter", "mount"):
        return tools.missing("systemd-nspawn", "nsenter", "mount")
    with tempfile.TemporaryDirectory(prefix="orderd-box-") as scratch:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", scratch],
                          stderr=subprocess.DEVNULL).returncode:
            return "mounting is not allowed here"
        subprocess.run(["umount", scratch], check=True)
    return ""


class Container:
    """prepare(upper): put files into the upper directory before it boots. root: the directory under
    the overlay. masked: units that are not to start."""

    def __init__(self, prepare=None, root="/", masked=MASKED):
        self._lower = root
        self._masked = masked
        self._directory = tempfile.mkdtemp(prefix="orderd-box-")
        self._mounted = []
        self._nspawn = None
        self.leader = None
        atexit.register(self.close)
        try:
            self._mount(prepare)
            self._boot()
        except BaseException:
            self.close()
            raise

    @property
    def root(self):
        return os.path.join(self._directory, "root")

    def _mount(self, prepare):
        layers = os.path.join(self._directory, "layers")
        os.mkdir(layers)
        os.mkdir(self.root)
        self._mount_one(["-t", "tmpfs", "-o", "size=4g,mode=0755", "tmpfs", layers], layers)
        upper, work = os.path.join(layers, "upper"), os.path.join(layers, "work")
        os.mkdir(work)
        masked = os.path.join(upper, "etc/systemd/system")
        os.makedirs(masked)
        for unit in self._masked:
            os.symlink("/dev/null", os.path.join(masked, unit))
        if prepare:
            prepare(upper)
        self._mount_one(["-t", "overlay", "overlay", "-o",
                         "lowerdir=%s,upperdir=%s,workdir=%s" % (self._lower, upper, work),
                         self.root], self.root)

    def _mount_one(self, arguments, where):
        subprocess.run(["mount"] + arguments, check=True)
        self._mounted.append(where)

    def _boot(self):
        with open(os.path.join(self._directory, "boot.log"), "wb") as log:
            self._nspawn = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "-q", "-D", self.root,
                 "-M", "orderd-%d" % os.getpid(), "-b", "--register=no", "--keep-unit",
                 "--private-users=no", "--private-network", "--console=read-only",
                 "--link-journal=no", "--resolv-conf=off", "--timezone=off",
                 # A machine's service may lock its secrets in memory; nspawn forbids it unasked.
                 "--system-call-filter=@memlock"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.leader = wait.until(self._find_leader, BOOT_SECONDS, self._boot_log)
        wait.until(self._is_up, BOOT_SECONDS, self._boot_log, every=0.05)

    def _boot_log(self):
        with open(os.path.join(self._directory, "boot.log"), errors="replace") as log:
            return "systemd boots in the container\n" + log.read()[-3000:]

    def _find_leader(self):
        if self._nspawn.poll() is not None:
            raise AssertionError("systemd-nspawn ended: " + self._boot_log())
        parents = [self._nspawn.pid]
        while parents:
            pid = parents.pop()
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii") as comm:
                    if comm.read().strip() == "systemd":
                        return pid
                with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
                    parents += [int(child) for child in children.read().split()]
            except FileNotFoundError:
                continue
        return None

    def _is_up(self):
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def run(self, *command, check=True, user=None, seconds=60, stdin=None, outside=False):
        """Run a command inside and wait for it; .stdout has what it printed, errors too. outside:
        with the network of this machine."""
        spaces = ["-m", "-u", "-i", "-p", "-C"] if outside else ["-a"]
        words = ["nsenter", "-t", str(self.leader), *spaces, "--"]
        if user:
            words += ["setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups",
                      "env", "HOME=/tmp"]
        done = subprocess.run(words + list(command), text=True, input=stdin, timeout=seconds,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check and done.returncode:
            raise AssertionError("%s: exit code %d\n%s" % (
                " ".join(command), done.returncode, done.stdout))
        return done

    def write(self, path, text, mode=0o644):
        inside = "/proc/%d/root%s" % (self.leader, path)
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        with open(inside, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(inside, mode)

    def thread(self, function):
        """A thread, started, whose sockets are in the container's network."""
        network = os.open("/proc/%d/ns/net" % self.leader, os.O_RDONLY)

        def run():
            libc = ctypes.CDLL(None, use_errno=True)
            entered = libc.setns(network, CLONE_NEWNET)
            os.close(network)
            if entered != 0:
                raise OSError(ctypes.get_errno(), "setns")
            function()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def call(self, function):
        """function() in the container's network; its value."""
        results = []

        def run():
            try:
                results.append((function(), None))
            except Exception as error:
                results.append((None, error))

        self.thread(run).join()
        value, error = results[0]
        if error:
            raise error
        return value

    def close(self):
        atexit.unregister(self.close)
        if self._nspawn and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self._nspawn = None
        while self._mounted:
            subprocess.run(["umount", "-l", self._mounted.pop()], check=True)
        shutil.rmtree(self._directory, ignore_errors=True)
        self._forget_cgroups()

    @staticmethod
    def _forget_cgroups():
        """With --keep-unit nspawn leaves these two behind, empty."""
        for tree in ("systemd", "unified", "."):
            for leaf in ("payload", "supervisor"):
                top = os.path.join("/sys/fs/cgroup", tree, leaf)
                for directory, _, _ in os.walk(top, topdown=False):
                    try:
                        os.rmdir(directory)
                    except OSError:
                        pass  # in use by another container, or not ours

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
