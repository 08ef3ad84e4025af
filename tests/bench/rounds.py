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


def deliver(load, orderd, connections, seconds, events, salt, *more):
    """What load says of one run of it; events: at most so many, whose orders begin with salt."""
    said = json.loads(run([load, orderd.address.rsplit(":", 1)[1], http.PATH, orderd.secret,
                           str(connections), str(seconds), str(events), salt, *map(str, more)]))
    if said["exhausted"]:
        raise SystemExit("more events a second than were prepared: raise the maximum")
    return said


def medians(rounds):
    return {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}


def spread(rounds, name):
    """In percent of the median."""
    values = [r[name] for r in rounds]
    return round(100 * (max(values) - min(values)) / statistics.median(values))
