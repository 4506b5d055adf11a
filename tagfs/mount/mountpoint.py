"""Directories that things are mounted on: who is there, is it alive, and how to make room."""

from __future__ import annotations

import enum
import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagfs.errors import MountError
from tagfs.mount.options import MountOptions

PROBE_SECONDS = 5.0
"""For how long a mount may be silent before it counts as hung."""
MOUNTINFO = Path("/proc/self/mountinfo")
TYPE = "fuse.tagfs"


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of mountinfo."""

    where: str
    type: str
    device: str  # "major:minor"


class Life(enum.Enum):
    """What a mountpoint says when asked."""

    ANSWERS = "answers"
    STALE = "its server is gone"
    SILENT = "does not answer"


def canonical(path: str | os.PathLike[str]) -> str:
    """Return the absolute path without symlinks, asking nothing of what is mounted there.

    ``os.path.realpath`` would ask it, and a hung mount never answers.
    """
    where = os.path.abspath(os.fspath(path))
    for _ in range(40):
        parent, base = os.path.split(where)
        where = os.path.join(os.path.realpath(parent), base) if base else parent
        try:
            target = os.readlink(where)
        except OSError:
            return where
        where = os.path.normpath(os.path.join(os.path.dirname(where), target))
    raise MountError(f"{path} is a symbolic link to itself.")


def mounted_at(where: str) -> Mounted | None:
    """Return what is mounted on a canonical path, the topmost if several are."""
    found = None
    for there in _mounted():
        if there.where == where:
            found = there
    return found


def tagfs_mounts() -> list[str]:
    """Return where the kernel's list has galleries, dead or alive, whoever's."""
    return list(dict.fromkeys(there.where for there in _mounted() if there.type == TYPE))


def _mounted() -> Iterator[Mounted]:
    for line in MOUNTINFO.read_bytes().splitlines():
        fields, _, rest = line.partition(b" - ")
        columns = fields.split(b" ")
        path = os.fsdecode(_unescape(columns[4]))
        yield Mounted(path, os.fsdecode(rest.split(b" ")[0]), columns[2].decode())


def life(where: str, seconds: float = PROBE_SECONDS) -> Life:
    """Ask a mountpoint how much room it has, from a process that may hang in our place.

    Attributes would be answered by the kernel for a while after the server's death.
    """
    program = (
        "import os,sys\ntry: os.statvfs(sys.argv[1])\nexcept OSError as e: sys.exit(e.errno or 1)"
    )
    asking = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, where],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        code = asking.wait(seconds)
    except subprocess.TimeoutExpired:
        asking.kill()  # takes effect when the kernel lets go of it
        return Life.SILENT
    return Life.STALE if code in (errno.ENOTCONN, errno.ECONNABORTED) else Life.ANSWERS


def prepare(where: str, options: MountOptions) -> None:
    """Make a canonical path ready to be mounted on: remove a dead mount, make the directory.

    Raises MountError when something lives there, or when files would be hidden.
    """
    while (there := mounted_at(where)) is not None and there.type.startswith("fuse"):
        alive = life(where)
        if mounted_at(where) != there:
            continue  # it went while it was asked, and the directory below answered
        if alive is Life.STALE:
            _clean(where)
        elif there.type == TYPE and alive is Life.ANSWERS:
            raise MountError(f"A gallery is mounted at {where} already.")
        elif alive is Life.SILENT:
            raise MountError(
                f"What is mounted at {where} does not answer; end it with "
                f"`fusermount3 -u -z {where}`, then mount again."
            )
        else:
            break
    if mounted_at(where) is None:
        _outlast_helper(where)
    try:
        os.makedirs(where, mode=0o700, exist_ok=True)
        found = os.lstat(where)
        if not stat.S_ISDIR(found.st_mode):
            raise MountError(f"{where} is no directory; name another mountpoint.")
        if not options.nonempty and os.listdir(where):
            raise MountError(
                f"{where} is not empty, and mounting would hide what is in it; "
                "name an empty directory, or mount with -o nonempty."
            )
    except FileExistsError:
        raise MountError(f"{where} is no directory; name another mountpoint.") from None
    except OSError as error:
        raise MountError(f"{where} cannot be used as a mountpoint: {error.strerror}.") from error


def _outlast_helper(where: str) -> None:
    """Wait until no helper of auto_unmount watches this path for a server that is gone: it would
    take down the mount that comes next."""
    for _ in range(100):
        if not _helper_watches(where):
            return
        time.sleep(0.02)


def _helper_watches(where: str) -> bool:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                words = file.read(65536).split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if os.path.basename(words[0]).startswith(b"fusermount") and os.fsencode(where) in words:
            return True
    return False


def _clean(where: str) -> None:
    """Remove a dead mount. The helper of auto_unmount may be about to do the same, and must not
    be left to do it to the mount that comes next."""
    for _ in range(10):
        if mounted_at(where) is None:
            return
        time.sleep(0.02)
    detach(where, lazy=True)


def check_fuse(options: MountOptions) -> None:
    """Raise MountError, saying what is missing, where this machine cannot mount."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise MountError(
            "There is no FUSE here (/dev/fuse is missing); load it with `sudo modprobe fuse`, "
            "or start the container with --device /dev/fuse."
        ) from None
    except OSError as error:
        raise MountError(f"/dev/fuse cannot be opened: {error.strerror}.") from error
    if os.geteuid() == 0:
        return
    if helper() is None:
        raise MountError("fusermount3 is missing; install the package fuse3.")
    if options.allow_other and not _others_allowed():
        raise MountError(
            "-o allow_other needs the line `user_allow_other` in /etc/fuse.conf; add it, "
            "or mount without."
        )


def helper() -> str | None:
    """Return the path of fusermount3, None where it is not installed."""
    return shutil.which("fusermount3", path=os.environ.get("PATH", "") + ":/usr/bin:/bin")


def detach(where: str, lazy: bool) -> None:
    """Unmount a canonical path; MountError when it is in use and ``lazy`` is False.

    Lazily, the name goes at once and the server stays until the last user is gone.
    """
    program = helper()
    command = [program, "-u"] if program else ["umount"]
    if lazy:
        command.append("-z" if program else "-l")
    try:
        done = subprocess.run(
            [*command, "--", where], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise MountError("fusermount3 is missing; install the package fuse3.") from None
    if done.returncode == 0 or mounted_at(where) is None:
        return
    if "busy" in done.stderr.lower():
        raise MountError(
            f"{where} is in use; close the programs that use it (`fuser -vm {where}` names "
            "them), or unmount with --lazy."
        )
    raise MountError(f"{where} could not be unmounted: {done.stderr.strip()}")


def apart(where: str, others: dict[str, str | os.PathLike[str]]) -> None:
    """Raise MountError when one of the named places lies at or below the mountpoint, where the
    daemon would have to ask itself for it."""
    for what, path in others.items():
        if is_inside(path, where):
            raise MountError(f"The {what} {path} lies inside the mountpoint {where}; move it out.")


def is_inside(path: str | os.PathLike[str], where: str) -> bool:
    """Whether a path lies at or below a canonical one."""
    real = canonical(path)
    return real == where or real.startswith(where.rstrip("/") + "/")


def read_ahead(where: str, kib: int) -> None:
    """Let the kernel read further ahead where that is allowed (root, or a udev rule)."""
    there = mounted_at(where)
    if there is None:
        return
    try:
        Path(f"/sys/class/bdi/{there.device}/read_ahead_kb").write_text(f"{kib}\n")
    except OSError:
        return


def _others_allowed() -> bool:
    try:
        lines = Path("/etc/fuse.conf").read_text().splitlines()
    except OSError:
        return False
    return any(line.strip() == "user_allow_other" for line in lines)


def _unescape(field: bytes) -> bytes:
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n")):
        field = field.replace(code, character)
    return field.replace(b"\\134", b"\\")
