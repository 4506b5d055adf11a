"""What `tagfs doctor` looks at without a passphrase: state, disk, clock, models, remote."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from tagfs.errors import Integrity, RemoteError, TagfsError, Usage
from tagfs.pipeline.finding import Finding, Verdict
from tagfs.pipeline.spool import reserve_of
from tagfs.pipeline.state_dir import StateDir
from tagfs.recognise import packs, sandbox
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.recogniser import recogniser
from tagfs.remote.store import Store
from tagfs.remote.url import open_store

SLACK = 5 * 60
"""Seconds that clocks may differ without a word."""
ABSURD = 24 * 3600
"""Seconds from which on a clock is wrong, rather than a little off."""
SCARCE = 1024**3
"""Free bytes below which there is a note."""
SCARCE_INODES = 1000
ANSWER = 15.0
"""Seconds that the remote gets for everything that it is asked."""
OLD = 3600.0
"""Seconds after which a temporary file is nobody's any more."""

Now = Callable[[], float]
"""Returns seconds since 1970."""


def gibibytes(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:.0f} MiB"


# -- this machine --------------------------------------------------------------------------------


def kernel() -> list[Finding]:
    """Check what locks the recognition workers in."""
    can = sandbox.supported()
    if not can.seccomp:
        return [
            Finding(
                "kernel",
                Verdict.WRONG,
                "The kernel has no seccomp filters, so that photos are not recognised.",
                "Use a kernel with CONFIG_SECCOMP_FILTER on an x86-64 or arm64 machine.",
            )
        ]
    if not can.landlock:
        return [
            Finding(
                "kernel",
                Verdict.NOTE,
                "Workers are locked in by seccomp alone: the kernel has no Landlock.",
                "Nothing has to be done; a kernel from 5.13 on adds a second lock.",
            )
        ]
    return [Finding("kernel", Verdict.OK, "Workers are locked in by seccomp and Landlock.")]


async def models() -> list[Finding]:
    """Check the default pack: installed, entire, and a worker gets ready with it."""
    pack = packs.load()
    try:
        async with recogniser(jobs=1):
            pass
    except (PackMissing, Integrity, sandbox.NoSandbox) as error:
        return [Finding.of_error("models", error)]
    return [
        Finding("models", Verdict.OK, f"The model pack {pack.id} is installed, and a worker runs.")
    ]


# -- the state directory -------------------------------------------------------------------------


def state_directory(root: Path) -> Iterator[Finding]:
    """Check that a state directory is complete and this user's alone."""
    place = StateDir(root)
    try:
        place.settings()
    except TagfsError as error:
        yield Finding.of_error("state", error)
        return
    except OSError as error:
        yield _unreadable(place.settings_file, error)
        return
    bad = [problem for path in (root, *sorted(root.iterdir())) for problem in _access(path)]
    for path in (place.header, place.device):
        if not path.exists():
            bad.append(
                Finding(
                    "state",
                    Verdict.WRONG,
                    f"{path} is missing; without it the vault cannot be opened from here.",
                    "Join the vault again into another directory with `tagfs join`.",
                    Integrity.exit_code,
                )
            )
    yield from bad
    if not bad:
        yield Finding("state", Verdict.OK, f"{root} is complete and yours alone.")
    left = [*_left_behind(root), *_left_behind(packs.models_dir())]
    if left:
        yield Finding(
            "leftovers",
            Verdict.NOTE,
            f"A crash has left {len(left)} temporary files behind: {', '.join(map(str, left))}.",
            "They do no harm and may be removed.",
        )


def _access(path: Path) -> Iterator[Finding]:
    try:
        found = path.lstat()
    except OSError as error:
        yield _unreadable(path, error)
        return
    if found.st_uid != os.geteuid():
        yield Finding(
            "state",
            Verdict.WRONG,
            f"{path} belongs to another user (number {found.st_uid}).",
            f"Give it back with `sudo chown -R $USER {path}`, and run tagfs as yourself.",
        )
        return
    wanted = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
    if not stat.S_ISSOCK(found.st_mode) and not os.access(path, wanted):
        yield Finding(
            "state",
            Verdict.WRONG,
            f"{path} cannot be read and written.",
            f"Allow it with `chmod -R u+rwX {path}`.",
        )
    elif stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o077:
        yield Finding(
            "state",
            Verdict.NOTE,
            f"Others may look into {path}; what lies there is sealed.",
            f"Close it with `chmod 700 {path}`.",
        )


def _unreadable(path: Path, error: OSError) -> Finding:
    return Finding(
        "state",
        Verdict.WRONG,
        f"{path} cannot be read: {error.strerror}.",
        f"Allow it with `chmod -R u+rwX {path.parent}`.",
    )


def _left_behind(folder: Path) -> list[Path]:
    before = time.time() - OLD
    try:
        return [p for p in sorted(folder.glob("*.new")) if p.lstat().st_mtime < before]
    except OSError:
        return []


def disk(root: Path) -> list[Finding]:
    """Check the room under the state directory against the reserve that is left free."""
    try:
        there = os.statvfs(root)
    except OSError as error:
        return [_unreadable(root, error)]
    total, free = there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize
    usable = free - reserve_of(total)
    text = f"{gibibytes(free)} are free under {root}"
    if usable <= 0:
        return [
            Finding(
                "disk",
                Verdict.WRONG,
                f"{text}, which is the reserve: nothing more can be copied in.",
                "Free some space there, or wait until more is stored (`tagfs wait`).",
            )
        ]
    if there.f_files and there.f_favail < SCARCE_INODES:
        return [
            Finding(
                "disk",
                Verdict.WRONG,
                f"The file system under {root} has room for {there.f_favail} more files only.",
                "Remove files there that nobody needs.",
            )
        ]
    if usable < SCARCE:
        return [
            Finding(
                "disk",
                Verdict.NOTE,
                f"{text}, {gibibytes(usable)} above the reserve.",
                "Free some space there before you copy much in.",
            )
        ]
    return [Finding("disk", Verdict.OK, f"{text}.")]


# -- clocks --------------------------------------------------------------------------------------


def clock(what: str, theirs: float, ours: float, both_ways: bool) -> list[Finding]:
    """Compare this machine's clock with a time that something else has; seconds since 1970.

    ``both_ways``: the other time is of this moment. Otherwise it may lie in the past.
    """
    ahead = ours - theirs
    if abs(ahead) <= SLACK or (ahead > 0 and not both_ways):
        return []
    side = "ahead of" if ahead > 0 else "behind"
    return [
        Finding(
            "clock",
            Verdict.WRONG if abs(ahead) > ABSURD else Verdict.NOTE,
            f"This machine's clock is {_span(abs(ahead))} {side} {what}.",
            "Set it (`timedatectl`); when two devices change the same thing, the later one stays.",
        )
    ]


def _span(seconds: float) -> str:
    if seconds >= 2 * 24 * 3600:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


def newest_file(root: Path) -> float | None:
    """Return when the newest file of a state directory was written, None where there is none."""
    place = StateDir(root)
    times = []
    for folder in (root, place.journal, place.spool):
        try:
            times += [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(folder)]
        except OSError:
            continue
    return max(times, default=None)


def local_clock(root: Path, now: Now = time.time) -> list[Finding]:
    """Compare the clock with the state directory's newest file."""
    newest = newest_file(root)
    if newest is None:
        return []
    found = clock("the newest file of the state directory", newest, now(), False)
    return found or [Finding("clock", Verdict.OK, "Nothing here is newer than this moment.")]


# -- the remote ----------------------------------------------------------------------------------


async def remote(url: str, now: Now = time.time) -> list[Finding]:
    """Check that the remote answers, has a vault, takes an object and gives it back, and how
    much room it has. What it is given is removed again."""
    try:
        store = open_store(url, create=False)
    except Usage as error:
        return [Finding.of_error("remote", error)]
    if store.kind == "dropbox":
        await store.close()
        return [
            Finding(
                "remote",
                Verdict.NOTE,
                f"The login for {store.where} is sealed with the vault: this was not looked at.",
                "Mount the gallery; `tagfs status` tells whether Dropbox answers.",
            )
        ]
    found: list[Finding] = []
    try:
        with trio.fail_after(ANSWER):
            if not (await store.list("h/")).entries:
                return [
                    Finding(
                        "remote",
                        Verdict.WRONG,
                        f"There is no vault in {store.where}.",
                        "Connect the disk that it lies on, or bring its folder back.",
                        4,
                    )
                ]
            found += await _exchange(store, now)
            found += await _room(store)
    except TagfsError as error:
        found.append(Finding.of_error("remote", error))
    except trio.TooSlowError:
        found.append(
            Finding(
                "remote",
                Verdict.WRONG,
                f"{store.where} did not answer within {ANSWER:.0f} s.",
                "Connect it, or look after what makes it slow; tagfs goes on when it answers.",
                RemoteError.exit_code,
            )
        )
    finally:
        await store.close()
    return found


async def _exchange(store: Store, now: Now) -> list[Finding]:
    """Put an object under a name that no reader looks at, read it, and remove it."""
    name, data = f"probe-{secrets.token_hex(8)}", secrets.token_bytes(1024)
    began = trio.current_time()
    try:
        await store.put(name, data)
        written = trio.current_time()
        same = await store.get(name) == data
        read = trio.current_time()
        path = store.local_path(name)
        stamped = None if path is None else path.stat().st_mtime
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(2):
            await store.delete(name)
    if not same:
        return [
            Finding(
                "remote",
                Verdict.WRONG,
                f"{store.where} gives back other bytes than it was given.",
                "Trust it with nothing; check the disk, and keep the vault elsewhere.",
                Integrity.exit_code,
            )
        ]
    skew = [] if stamped is None else clock("the remote's", stamped, now(), True)
    return [
        Finding(
            "remote",
            Verdict.OK,
            f"{store.where} answers: written in {_ms(written - began)}, "
            f"read in {_ms(read - written)}.",
        ),
        *skew,
    ]


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))} ms"


async def _room(store: Store) -> list[Finding]:
    space = await store.space()
    if space is None or space.free >= SCARCE:
        return []
    return [
        Finding(
            "remote",
            Verdict.NOTE,
            f"{store.where} has {gibibytes(space.free)} left.",
            "Make room there; what does not fit waits on this machine.",
        )
    ]
