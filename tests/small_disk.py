"""A disk with little room, and ways to damage a file: what tests of broken files and full disks share."""

import contextlib
import subprocess

import pytest

# What a file may hold after an accident: its first half, nothing, or what belongs elsewhere.
DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "other": lambda content: b'{"something": ["else"]}',
}


def damage(file, way):
    """Damage a file in one of the ways."""
    file.write_bytes(DAMAGES[way](file.read_bytes()))


@contextlib.contextmanager
def small_disk(folder, size):
    """A disk of some size at a folder, in memory; yields a function that mounts it again with other options."""

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")

    folder.mkdir()
    mount(f"size={size}")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
