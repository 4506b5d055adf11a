"""Where things lie on this machine: state directories, the default vault, which mount is whose."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from tagfs.errors import MountError
from tagfs.mount import mountpoint as mounts
from tagfs.mount.control import Line
from tagfs.mount.messages import Broken, Call
from tagfs.remote.url import dir_url


def state_home() -> Path:
    """Return the folder of all state directories."""
    return _base("XDG_STATE_HOME", ".local/state") / "tagfs"


def default_state() -> Path:
    """Return the state directory that is meant when none is named."""
    named = os.environ.get("TAGFS_STATE_DIR")
    return Path(named).absolute() if named else state_home() / "default"


def default_remote() -> str:
    """Return the URL of the vault that a new gallery gets when none is named."""
    return dir_url(_base("XDG_DATA_HOME", ".local/share") / "tagfs" / "vault")


def log_file() -> Path:
    """Return where commands write what went wrong in tagfs itself."""
    return state_home() / "tagfs.log"


def remember_mount(where: str, state: Path) -> None:
    """Note which state directory a mount belongs to, for commands that name the mountpoint."""
    link = _note(where)
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(state.absolute())
    fresh.rename(link)


def forget_mount(where: str) -> None:
    """Drop that note."""
    _note(where).unlink(missing_ok=True)


def remembered_mounts(state: Path) -> list[str]:
    """Return the mountpoints at which something of type tagfs is mounted and that were noted for
    a state directory; neither the mounts nor any daemon are asked."""
    return [there for there in mounts.tagfs_mounts() if _noted(there) == state.absolute()]


def state_of(where: str, vault: Path | None) -> Path | None:
    """Return the state directory whose daemon says that it serves this mountpoint, if any does.

    Asked are the named vault, the one that was noted, and the default one.
    """
    for state in filter(None, (vault, _noted(where), default_state())):
        if served_at(state) == where:
            return state
    return None


def served_at(state: Path) -> str | None:
    """Return the mountpoint of the daemon that has a state directory open, None without one."""
    line = Line.to(state)
    if line is None:
        return None
    with contextlib.suppress(Broken):  # it may be just ending
        answer = line.call(Call("where", {}))
        if isinstance(answer, dict):
            return str(answer["mountpoint"])
    return None


def find_state(mountpoint: str | None, vault: Path | None) -> Path:
    """Return the state directory that a command is about; MountError when the named mountpoint
    is nobody's."""
    if mountpoint is None:
        return vault or default_state()
    where = mounts.canonical(mountpoint)
    state = state_of(where, vault)
    if state is None:
        raise MountError(f"No gallery is mounted at {where}; mount it with `tagfs mount {where}`.")
    return state


def _base(variable: str, fallback: str) -> Path:
    # The XDG specification: a relative path counts as not set.
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path.home() / fallback


def _note(where: str) -> Path:
    digest = hashlib.sha256(os.fsencode(where)).hexdigest()[:32]
    return state_home() / "mounts" / digest


def _noted(where: str) -> Path | None:
    try:
        return Path(os.readlink(_note(where)))
    except OSError:
        return None
