"""The files of the project, as the checks of this directory see them."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A fuzz corpus, recorded data and the yardstick are kept as they are given, not text of ours.
FOREIGN = ("tests/fuzz/corpus/", "tests/data/", "tests/bench/one-event")


def files(root=ROOT):
    """Paths relative to root; no build directory, no repository of git."""
    found = []
    for directory, names, leaves in os.walk(root):
        here = Path(directory).relative_to(root)
        names[:] = sorted(name for name in names if name not in (".git", "__pycache__")
                          and not (str(here) == "." and name.startswith("build")))
        found += [here / leaf for leaf in sorted(leaves)
                  if leaf != ".git" and not leaf.endswith(".pyc")]  # a file in a worktree
    return found


def ours(root=ROOT):
    return [path for path in files(root) if not str(path).startswith(FOREIGN)]


def c_files(root=ROOT):
    return [path for path in ours(root) if path.suffix in (".c", ".h")]
