"""A PgBouncer before a cluster, on a unix socket in a directory of its own, gone afterwards.

    with pooler.PgBouncer(cluster, "transaction") as bouncer:
        bouncer.conninfo(database)
"""

import os
import pwd
import shutil
import subprocess
import tempfile

from . import pgwire, tools, wait

START_SECONDS = 20
CONF = """[databases]
* = host=%(cluster)s port=5432
[pgbouncer]
listen_addr =
unix_socket_dir = %(directory)s
auth_type = trust
auth_file = %(directory)s/users
pool_mode = %(mode)s
logfile = %(directory)s/log
pidfile = %(directory)s/pid
%(more)s
"""


def missing():
    return tools.missing("pgbouncer")


class PgBouncer:
    """mode: session, transaction or statement. more: lines of its configuration."""

    def __init__(self, cluster, mode, more=""):
        self.directory = tempfile.mkdtemp(prefix="orderd-pool-")
        self.process = None
        os.chmod(self.directory, 0o755)
        conf = os.path.join(self.directory, "conf")
        with open(conf, "w", encoding="ascii") as out:
            out.write(CONF % {"cluster": cluster.directory, "directory": self.directory,
                              "mode": mode, "more": more})
        with open(os.path.join(self.directory, "users"), "w", encoding="ascii") as users:
            users.writelines('"%s" ""\n' % name for name in ("orderd", "postgres"))
        command = ["setpriv", "--pdeathsig", "KILL", "pgbouncer", conf]
        if os.geteuid() == 0:  # which it refuses
            account = pwd.getpwnam("nobody")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            command[1:1] = ["--reuid=%d" % account.pw_uid, "--regid=%d" % account.pw_gid,
                            "--clear-groups"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait.until(self._answers, START_SECONDS,
                       lambda: "PgBouncer answers\n" + self.log()[-2000:])
        except BaseException:
            self.close()
            raise

    def _answers(self):
        try:
            pgwire.Session(self.directory, "postgres", port=6432).close()
            return True
        except (OSError, pgwire.DatabaseError):
            return False

    def log(self):
        try:
            with open(os.path.join(self.directory, "log"), encoding="utf-8") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def conninfo(self, database, user="orderd"):
        return "host=%s port=6432 dbname=%s user=%s" % (self.directory, database.name, user)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
