"""Small disks for tests, in memory: they fill up, and can be made read-only, as real ones do."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of its own."""

    folder: Path

    def fill(self, free: int) -> None:
        """Leave so many bytes."""
        space = os.statvfs(self.folder)
        taken = max(space.f_bavail * space.f_frsize - free, 0)
        with (self.folder / "ballast").open("ab") as file:
            file.write(bytes(taken))

    def empty(self) -> None:
        """There is room again."""
        (self.folder / "ballast").unlink()

    def mount(self, option: str) -> None:
        """`ro` or `rw`; nobody may have a file open for writing."""
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)


@contextmanager
def a_disk(size: str) -> Iterator[Disk]:
    """A disk of that size ("4m"), that anybody may write to, while the block lasts. Skips where none can be mounted."""
    # not below pytest's folder, which is closed to the user that a server runs as
    with tempfile.TemporaryDirectory(prefix="calbridge-disk-") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "calbridge-test", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        stack.callback(subprocess.run, ["umount", "-l", name], check=True)
        yield Disk(Path(name))
