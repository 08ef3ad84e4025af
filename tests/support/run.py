"""The part of tests/run that comes after the packages: what is built, what is run, and how.

Tests that hold an answer to a deadline go one by one, in a chain of their own; all the others go
beside them, and are as nice to them as the system lets them be.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import plan, scale, servers, tally

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("style", "unit", "fuzz", "sql", "e2e", "slow")
KEPT = ROOT / "build-tests"  # of tests/run NAME
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 6 << 30
TOLD_SECONDS = 30  # what takes longer is named while it runs
BEHIND = ("nice", "-n", "15")
# What depends on the server's version, and how many histories are enough for that.
ON_EACH_SERVER = ("pgtap_rules", "pgtap_values", "pgtap_ingest", "pgtap_rights", "test_schema",
                  "test_escalation", "test_sessions", "test_convergence", "test_20_store",
                  "test_21_durability", "test_26_settings")
HISTORIES_ON_EACH = "2000"
SERVERS_A_RUN = 2

COMPILERS = ("gcc", "clang")
BUILDTYPES = ("debug", "debugoptimized", "release")
SANITIZED = ("-Db_sanitize=address,undefined",)
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
}


def say(text):
    print("== %s %s" % (time.strftime("%H:%M:%S"), text), flush=True)


def in_memory():
    """A directory for what is built and written, or None: a disk has no part in what tests find
    out, and is what a cluster waits for most."""
    try:
        state = os.statvfs(MEMORY)
    except OSError:
        return None
    if state.f_flag & os.ST_NOEXEC or state.f_bavail * state.f_frsize < MEMORY_BYTES:
        return None
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def children_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return []


def test_of(pid):
    """The test that this process is, by its command line."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as words:
            words = words.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return "?"
    scripts = [word for word in words if word.endswith((".sql", ".py"))]
    return plan.name(Path((scripts or words)[-1 if scripts else 0]))


def tell_long_ones(meson, began):
    """Once, when it takes long: somebody who waits wants to know for what. began: pid: since."""
    now = time.monotonic()
    for pid in children_of(meson):
        if pid not in began:
            began[pid] = now
        elif began[pid] and now - began[pid] >= TOLD_SECONDS:
            say("running for %d s and going on: %s" % (TOLD_SECONDS, test_of(pid)))
            began[pid] = None


class Run:
    """Several chains may build and check at once; what they find is counted together."""

    def __init__(self, how_much):
        self.disk = Path(tempfile.mkdtemp(prefix="orderd-tests-"))
        self.scratch = Path(tempfile.mkdtemp(prefix="orderd-tests-", dir=in_memory()))
        self.writes = self.scratch / "writes"
        self.writes.mkdir()
        self.scratch.chmod(0o755)
        for directory in (self.disk, self.writes):
            directory.chmod(0o1777)  # clusters belong to another user
        self.environment = dict(os.environ, **SANITIZERS, ORDERD_TEST_SCALE=how_much,
                                TMPDIR=str(self.writes),
                                ORDERD_TEST_CLUSTER=str(self.writes / "cluster"))
        self.tally = tally.Tally()
        self.processes = set()
        self.ends = False

    def close(self):
        self.ends = True
        for process in list(self.processes):
            process.terminate()
        for process in list(self.processes):
            process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.rmtree(self.disk, ignore_errors=True)

    def command(self, words, log, **environment):
        """Its exit code; what it prints goes to log, if there is one."""
        if self.ends:
            raise SystemExit("it was told to end")
        with open(log, "ab") if log else contextlib.nullcontext() as output:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT if log else None,
                                       env=dict(self.environment, **environment))
        self.processes.add(process)
        began = {}
        while True:
            try:
                return process.wait(1)
            except subprocess.TimeoutExpired:
                if "test" in words:
                    tell_long_ones(process.pid, began)
            finally:
                if process.returncode is not None:
                    self.processes.discard(process)

    def build(self, name, compiler, *options, behind=False):
        """Whether orderd and all that its tests run was built."""
        title = " ".join((compiler,) + options)
        if not shutil.which(compiler):
            self.tally.skip("%s (no %s here: install the package %s)" % (title, compiler, compiler))
            return False
        say("build: " + title)
        directory, log = self.scratch / name, self.scratch / (name + ".log")
        prefix = BEHIND if behind else ()
        for words in (["setup", directory, ROOT, *options], ["compile", "-C", directory],
                      ["compile", "-C", directory, "tests"]):
            if self.command([*prefix, "meson", *map(str, words)], log, CC=compiler):
                print("".join(log.read_text("utf-8", "replace").splitlines(True)[-60:]))
                self.tally.fail("build: " + title)
                return False
        return True

    def compiles(self, compiler, buildtype):
        """Everything does, without a warning."""
        name = "%s-%s" % (compiler, buildtype)
        if self.build(name, compiler, "--buildtype=" + buildtype, "-Dwerror=true", behind=True):
            self.tally.passed += 1
        shutil.rmtree(self.scratch / name, ignore_errors=True)

    def check(self, name, title, *options, behind=False, on_disk=False, **environment):
        """Run what the options of `meson test` choose; the tally counts."""
        began = time.monotonic()
        say("test: " + title)
        directory, log = self.scratch / name, self.scratch / (title.replace(" ", "-") + ".log")
        logbase = title.replace(" ", "-")
        words = [*(BEHIND if behind else ()), "meson", "test", "-C", str(directory), "--no-rebuild",
                 "--logbase", logbase, *options]
        if on_disk:
            environment["TMPDIR"] = str(self.disk)
        self.command(words, log, **environment)
        # With a setup meson adds its name to that of the log.
        found = list((directory / "meson-logs").glob(logbase + "*.json"))
        for path in found:
            self.tally.add(path)
        if not found:
            print(log.read_text("utf-8", "replace"))
            self.tally.fail("no test ran: " + title)
        say("done: %s, %.0f s" % (title, time.monotonic() - began))

    def check_on(self, major):
        """What depends on it, on a server of that version."""
        try:
            server = str(servers.fetch(major, self.scratch))
        except servers.Absent as why:
            self.tally.skip("PostgreSQL %s (it is not to be had: %s)" % (major, why))
            return
        there = {"ORDERD_TEST_POSTGRES": server,
                 "ORDERD_TEST_CLUSTER": str(self.writes / ("cluster-" + major))}
        self.check("gcc", "PostgreSQL " + major, *ON_EACH_SERVER, behind=True,
                   ORDERD_TEST_HISTORIES=HISTORIES_ON_EACH, **there)
        log = self.scratch / ("quickstart-%s.log" % major)
        if self.command([*BEHIND, sys.executable, "-m", "support.quickstart"], log,
                        ORDERD=str(self.scratch / "gcc/daemon/orderd"), **there):
            print(log.read_text("utf-8", "replace")[-4000:])
            self.tally.fail("quickstart on PostgreSQL " + major)
        else:
            self.tally.passed += 1

    def side_by_side(self, *chains):
        def kept(chain):
            try:
                chain()
            except BaseException as error:
                self.tally.fail("%s: %r" % (chain.__name__, error))
                raise
        threads = [threading.Thread(target=kept, args=(chain,), daemon=True) for chain in chains]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def quick(run):
    if not run.build("sanitized", "gcc", *SANITIZED):
        return

    def alone():
        run.check("sanitized", "alone", "--setup", "sanitized", "--no-suite", "slow",
                  "--suite", "alone")

    def beside():
        run.check("sanitized", "beside", "--setup", "sanitized", "--no-suite", "slow",
                  "--no-suite", "alone", behind=True)
    run.side_by_side(alone, beside)


def everything(run, majors, *more):
    """majors: of PostgreSQL, besides Debian's. more: options of each `meson test`."""
    gcc = run.build("gcc", "gcc", "-Dwerror=true")
    # The sanitizers' own code makes gcc warn of what the plain build knows to be impossible.
    sanitized = run.build("sanitized", "gcc", *SANITIZED)

    def alone():
        if gcc:  # once with the times that a disk takes
            run.check("gcc", "alone", "--suite", "alone", *more, on_disk=True)
        if sanitized:
            run.check("sanitized", "sanitized alone", "--setup", "sanitized", "--suite", "alone",
                      "--no-suite", "slow", *more)

    def beside():
        if gcc:
            run.check("gcc", "beside", "--no-suite", "alone", *more, behind=True)
            if shutil.which("valgrind"):
                run.check("gcc", "valgrind", "--setup", "valgrind", "--suite", "unit",
                          "--suite", "fuzz", *more, behind=True)
            else:
                run.tally.skip("valgrind (it is not here: install the package valgrind)")
        if sanitized:
            run.check("sanitized", "sanitized beside", "--setup", "sanitized", "--suite", "unit",
                      "--suite", "fuzz", "--suite", "e2e", "--no-suite", "alone",
                      "--no-suite", "slow", *more, behind=True)
        for major in majors if gcc else ():
            run.check_on(major)
        if run.build("clang", "clang", "-Dwerror=true", behind=True):
            run.check("clang", "clang", "--suite", "unit", *more, behind=True)
        for compiler in COMPILERS:
            for buildtype in BUILDTYPES:
                if buildtype != "debugoptimized":  # built above
                    run.compiles(compiler, buildtype)
    run.side_by_side(alone, beside)


def one(run, name, tests):
    """A suite or a test, in a build directory that is kept; what it needs is built."""
    log = run.scratch / "setup.log"
    if run.command(["meson", "setup", *SANITIZED, str(KEPT), str(ROOT)], log):
        print(log.read_text("utf-8", "replace"))
        run.tally.fail("meson setup")
        return
    chosen = ["--suite", name] if name in SUITES else [plan.name(Path(name))]
    if tests:
        chosen += ["--test-args", " ".join(tests)]
    found = KEPT / "meson-logs/one-sanitized.json"
    found.unlink(missing_ok=True)
    run.command(["meson", "test", "-C", str(KEPT), "--setup", "sanitized", "--logbase", "one",
                 *chosen], None)
    if found.exists():
        run.tally.add(found, verbose=name not in SUITES)
    else:
        run.tally.fail("%s: no suite (%s) and no test of that name, or it cannot be built" % (
            name, " ".join(SUITES)))


def leave(number, _frame):
    raise SystemExit(128 + number)


def main(words):
    if words[:1] in (["-h"], ["--help"]) or (words and words[0][0] == "-" and (
            len(words) > 1 or words[0] not in ("--all", "--full"))):
        print("usage: tests/run [--all | --full | NAME [TEST...]]", file=sys.stderr)
        return 64
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    began = time.monotonic()
    run = Run({"--all": "all", "--full": "full"}.get("".join(words[:1]), "quick"))
    try:
        if not words:
            quick(run)
        elif words[0] == "--all":
            seed = scale.seed()
            majors = random.Random(seed).sample(sorted(servers.VERSIONS), SERVERS_A_RUN)
            say("PostgreSQL %s besides Debian's, by seed %s" % (" and ".join(majors), seed))
            everything(run, majors)
        elif words[0] == "--full":
            everything(run, sorted(servers.VERSIONS), "--timeout-multiplier", "0")
        else:
            one(run, words[0], words[1:])
        say("%d s" % (time.monotonic() - began))
        return run.tally.tell()
    finally:
        run.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
