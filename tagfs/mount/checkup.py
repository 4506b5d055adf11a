"""What `tagfs doctor` looks at around the mount: FUSE, mounts left behind, who has the vault."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tagfs import __version__
from tagfs.errors import MountError, TagfsError
from tagfs.mount import connection
from tagfs.mount import mountpoint as mounts
from tagfs.mount.control import Line
from tagfs.mount.messages import Call
from tagfs.mount.options import MountOptions
from tagfs.pipeline.finding import Finding, Verdict
from tagfs.pipeline.state_dir import StateDir


def fuse(options: MountOptions) -> list[Finding]:
    """Check what mounting needs, with the options that are meant."""
    try:
        mounts.check_fuse(options)
    except MountError as error:
        return [Finding.of_error("fuse", error)]
    found = [Finding("fuse", Verdict.OK, "This machine can mount (/dev/fuse).")]
    if not connection.can_be_cut_off():
        found.append(
            Finding(
                "fusectl",
                Verdict.NOTE,
                "If tagfs is killed, programs that use the mount at that moment may hang.",
                f"Mount fusectl: `sudo mount -t fusectl fusectl {connection.CONTROL}`.",
            )
        )
    return found


def left_mounts(known: Iterable[str]) -> Iterator[Finding]:
    """Check every mountpoint in ``known``, canonical paths, on which a gallery is mounted."""
    for where in known:
        there = mounts.mounted_at(where)
        if there is None or there.type != mounts.TYPE:
            continue
        alive = mounts.life(where)
        if alive is mounts.Life.STALE:
            yield Finding(
                "mount",
                Verdict.WRONG,
                f"{where} was left behind by a tagfs that is gone.",
                f"Clean up with `tagfs umount {where}`, or mount there again.",
                MountError.exit_code,
            )
        elif alive is mounts.Life.SILENT:
            yield Finding(
                "mount",
                Verdict.WRONG,
                f"What is mounted at {where} does not answer.",
                f"End it with `fusermount3 -u -z {where}`, then mount again.",
                MountError.exit_code,
            )
        else:
            yield Finding("mount", Verdict.OK, f"A gallery is mounted at {where} and answers.")


def owner(state: Path) -> list[Finding]:
    """Say who has a vault open: a daemon, another command, or nobody."""
    try:
        line = Line.to(state)
        told = None if line is None else line.call(Call("where", {}))
    except TagfsError as error:
        return [Finding.of_error("daemon", error)]
    if isinstance(told, dict):
        if told.get("version") != __version__:
            return [
                Finding(
                    "daemon",
                    Verdict.NOTE,
                    f"The daemon is of version {told.get('version')}, this is {__version__}.",
                    f"Unmount {told.get('mountpoint')} and mount again.",
                )
            ]
        return [Finding("daemon", Verdict.OK, f"It runs, and serves {told.get('mountpoint')}.")]
    try:
        os.close(StateDir(state).lock())
    except MountError as error:
        return [Finding("daemon", Verdict.NOTE, str(error))]
    except OSError:
        return []  # the state directory's own finding says why
    return [Finding("daemon", Verdict.OK, "No daemon runs, and none has left anything behind.")]
