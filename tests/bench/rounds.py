"""What the benchmarks share: how deliveries are made, and what is said of several rounds."""

import json
import statistics
import subprocess

from support import http

# Recycled WAL instead of new files in the middle of a round; the same for all.
SETTINGS = {"min_wal_size": "2GB", "max_wal_size": "8GB", "max_connections": "100"}
SECONDS_MAX = 300  # of one command


def run(command, **options):
    """What it prints."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=SECONDS_MAX, **options)
    if done.returncode:
        raise SystemExit("%s: exit code %d\n%s%s" % (
            command[0], done.returncode, done.stdout, done.stderr))
    return done.stdout


def deliver(load, receiver, connections, seconds, events, salt, lines=1, rate=0, sender="torque"):
    """What load says of one run of it: at most so many events, of orders that begin with salt and
    have carts of so many lines; rate: events a second, 0 = as fast as the answers come. receiver:
    has an address and a secret."""
    said = json.loads(run([load, receiver.address.rsplit(":", 1)[1], http.PATH, receiver.secret,
                           str(connections), str(seconds), str(events), salt, str(lines),
                           str(rate), sender]))
    if said["exhausted"]:
        raise SystemExit("more events a second than were prepared: raise the maximum")
    return said


def summary(rounds):
    return dict(medians(rounds), spread_percent=spread(rounds, "rate"))


def medians(rounds):
    return {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}


def spread(rounds, name):
    """In percent of the median."""
    values = [r[name] for r in rounds]
    return round(100 * (max(values) - min(values)) / statistics.median(values))
