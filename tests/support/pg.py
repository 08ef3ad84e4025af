"""A private PostgreSQL cluster: on a unix socket only, in a directory of its own, gone afterwards.

    with pg.Cluster() as cluster:
        database = cluster.migrated()               # a new database with the schema, ~50 ms
        rows = database.query("select * from torque.orders")

As root everything runs as user postgres (PostgreSQL refuses root); else as the user who runs the
test. No port, no system service, nothing outside the directory.

ORDERD_TEST_CLUSTER: the directory of a new cluster, kept by the first to need one; the others of a
run are copies of it. ORDERD_TEST_POSTGRES: the directory of another server than Debian's
(servers.py).
"""

import atexit
import fcntl
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

from . import pgwire, tap, wait

START_SECONDS = 120  # recovery flushes every file, and a disk may be busy
SETTINGS = {
    "listen_addresses": "''",
    "log_checkpoints": "off",
    "max_connections": "60",
    "timezone": "'UTC'",
}


def bindir():
    """Where the newest server's programs are; Debian keeps them out of PATH."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if found:
        newest = max(found, key=lambda path: int(re.search(r"/(\d+)/", path).group(1)))
        return os.path.dirname(newest)
    path = shutil.which("initdb")
    if not path:
        raise SystemExit("no PostgreSQL server here: install the package postgresql")
    return os.path.dirname(os.path.realpath(path))


def other_server():
    """The directory of a server that is not Debian's; "" when it is."""
    return os.environ.get("ORDERD_TEST_POSTGRES", "")


def program(name):
    """The path of one of PostgreSQL's programs; what another server comes without is Debian's."""
    other = os.path.join(other_server(), "bin", name)
    return other if other_server() and os.path.exists(other) else os.path.join(bindir(), name)


def _account():
    """(name, uid, gid) to run the server as, or None for the user we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return name, entry.pw_uid, entry.pw_gid
        except KeyError:
            continue
    raise SystemExit("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _as_account(command, death_signal=None):
    words = ["setpriv"]
    account = _account()
    if account:
        words += ["--reuid=%d" % account[1], "--regid=%d" % account[2], "--clear-groups"]
    if death_signal:
        words += ["--pdeathsig", death_signal]
    return words + command if len(words) > 1 else command


class Cluster:
    """settings: lines for postgresql.conf, {"fsync": "off", ...}. preload: a library.

    Start it from the main thread: the server is stopped when the thread that started it ends.
    """

    def __init__(self, settings=None, directory=None, start=True, preload=None):
        self._owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="orderd-pg-")
        self.data = os.path.join(self.directory, "data")
        self.process = None
        self._count = 0
        self._template = None
        atexit.register(self.close)
        os.chmod(self.directory, 0o755)
        account = _account()
        if account:
            os.chown(self.directory, account[1], account[2])
        self._environment = dict(os.environ)
        if preload:  # from where the server's account can read it
            self._environment["LD_PRELOAD"] = shutil.copy(preload, self.directory)
        self._initialise(dict(SETTINGS, **(settings or {})))
        if start:
            self.start()

    def _initialise(self, settings):
        template = os.environ.get("ORDERD_TEST_CLUSTER")
        if template:
            self._copy(template)
        else:
            self._initdb()
        self.configure(dict(settings, unix_socket_directories="'%s'" % self.directory))

    def _initdb(self):
        self._run(["initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync",
                   "--no-instructions", "--locale=C.UTF-8", "-E", "UTF8"])

    def _copy(self, template):
        with open(template + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(template):
                subprocess.run(["cp", "-a", template, self.data], check=True)
                return
            self._initdb()
            subprocess.run(["cp", "-a", self.data, template + ".new"], check=True)
            os.rename(template + ".new", template)

    def _run(self, command, check=True):
        command = [program(command[0])] + command[1:]
        done = subprocess.run(_as_account(command), cwd=self.directory, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        if check and done.returncode:
            raise AssertionError("%s failed:\n%s" % (command[0], done.stdout))
        return done

    def configure(self, settings):
        """Append settings; a running server takes those that a reload can change."""
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.writelines("%s = %s\n" % item for item in settings.items())
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    @property
    def log_file(self):
        return os.path.join(self.directory, "log")

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as log:
            return log.read()

    def start(self, wrapper=()):
        """Start and wait until it takes connections (after a crash: has recovered). wrapper: words
        before those that start the server, in its directory."""
        # Just after a kill -9 the last backends still hold the shared memory: then try again.
        wait.until(lambda: self._try_start(list(wrapper)), START_SECONDS,
                   lambda: "PostgreSQL starts:\n" + self.log()[-2000:], every=0.05)

    def _try_start(self, wrapper):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                _as_account(wrapper + [program("postgres"), "-D", self.data], "QUIT"),
                cwd=self.directory, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        wait.until(lambda: self._ready() or self.process.poll() is not None, START_SECONDS,
                   "PostgreSQL takes connections")
        return self.process.poll() is None

    def _ready(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as pid_file:
                lines = pid_file.read().splitlines()
        except FileNotFoundError:
            return False
        return (len(lines) >= 8 and lines[0] == str(self.process.pid)
                and lines[7].strip() == "ready")

    def stop(self, mode="fast"):
        """mode: smart, fast (rolls back), immediate (as a crash: recovery at the next start)."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._end(number)

    def kill9(self):
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.send_signal(number)
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def pids(self):
        """The postmaster and its children."""
        if not self.process:
            return []
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid),
                  encoding="ascii") as children:
            return [self.process.pid] + [int(pid) for pid in children.read().split()]

    def pause(self):
        """SIGSTOP to every process: the server accepts connections and says nothing."""
        for pid in self.pids():
            _signal(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    def close(self):
        try:
            self.stop("immediate")
        finally:
            atexit.unregister(self.close)
            if self._owns_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def database(self, name):
        return Database(self, name)

    def create_database(self, template="template0"):
        self._count += 1
        name = "test%d" % self._count
        with self.database("postgres").session() as session:
            session.query("create database %s template %s" % (name, template))
        return self.database(name)

    def migrated(self):
        """A new database that `orderd migrate` has brought up to date (once; then copied)."""
        if not self._template:
            template = self.create_database()
            template.migrate()
            self._template = template.name
        return self.create_database(self._template)

    def standby(self, name="standby1", synchronous=True, host=None):
        """A started streaming standby of this cluster; with synchronous, commits wait for it.
        host: of a proxy through which it streams."""
        copy = Standby(self, name, host)
        copy.start()
        if synchronous:
            self.configure({"synchronous_standby_names": "'%s'" % name})
            with self.database("postgres").session() as session:
                wait.until(lambda: session.value(
                    "select sync_state from pg_stat_replication where application_name = '%s'"
                    % name) == "sync", START_SECONDS, "the standby is synchronous")
        return copy


class Standby(Cluster):
    def __init__(self, primary, name, host=None):
        self._primary = primary
        self._name = name
        self._host = host or primary.directory
        super().__init__(start=False)

    def _initialise(self, _settings):
        primary = "host=%s user=postgres application_name=%s" % (
            self._host, self._name)
        if other_server():
            self._copy_primary(primary)
        else:
            self._run(["pg_basebackup", "-D", self.data, "-R", "-c", "fast", "--no-sync",
                       "-d", primary])
        # Without the last two a promoted standby waits for a standby of its own, and takes 5 s.
        self.configure({"unix_socket_directories": "'%s'" % self.directory,
                        "synchronous_standby_names": "''",
                        "wal_retrieve_retry_interval": "100ms"})

    def _copy_primary(self, conninfo):
        """What pg_basebackup does, which refuses servers that are newer than itself."""
        with self._primary.database("postgres").session(seconds=START_SECONDS) as session:
            old = int(session.value("show server_version_num")) < 150000
            session.query("select pg_start_backup('standby', true, false)" if old
                          else "select pg_backup_start('standby', true)")
            subprocess.run(["cp", "-a", self._primary.data, self.data], check=True)
            label = session.query("select labelfile, spcmapfile from %s" % (
                "pg_stop_backup(false, false)" if old else "pg_backup_stop(false)"))[0][0]
        for name in ("postmaster.pid", "postmaster.opts"):
            os.remove(os.path.join(self.data, name))
        for name, text in (("backup_label", label), ("standby.signal", "")):
            path = os.path.join(self.data, name)
            with open(path, "w", encoding="ascii") as out:
                out.write(text)
            shutil.copystat(os.path.join(self.data, "postgresql.conf"), path)
            if _account():
                os.chown(path, *_account()[1:])
        self.configure({"primary_conninfo": "'%s'" % conninfo})

    def promote(self):
        with self.database("postgres").session() as session:
            session.query("select pg_promote(true, 30)")


class Database:
    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def conninfo(self, user="orderd"):
        return "host=%s dbname=%s user=%s" % (self.cluster.directory, self.name, user)

    def session(self, user="postgres", seconds=10):
        return pgwire.Session(self.cluster.directory, self.name, user, seconds)

    def query(self, sql, user="postgres"):
        """One query on a session of its own."""
        with self.session(user) as session:
            return session.query(sql)

    def value(self, sql, user="postgres"):
        with self.session(user) as session:
            return session.value(sql)

    def psql(self, *arguments, user="postgres", stdin=None):
        """psql's own output; AssertionError when it fails."""
        done = subprocess.run(
            [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
             "-d", self.conninfo(user), *arguments],
            input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        if done.returncode:
            raise AssertionError("psql failed: " + done.stderr)
        return done.stdout

    def migrate(self, orderd=None):
        done = subprocess.run(
            [orderd or tap.program(), "migrate", "--admin-conninfo", self.conninfo("postgres"),
             "--database-conninfo", self.conninfo()],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
            env=dict(os.environ, ORDERD_DATABASE_ALLOW_UNSAFE_FSYNC="yes"))
        if done.returncode:
            raise AssertionError("orderd migrate failed (%d):\n%s" % (done.returncode, done.stdout))
        return done.stdout


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
