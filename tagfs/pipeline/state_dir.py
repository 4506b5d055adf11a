"""The state directory of one vault on this machine: what lies where, and the lock of its owner."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tagfs.errors import MountError, NewerVault, NotAVault

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be known before anything is unlocked. Nothing secret, nothing of the user's."""

    remote: str  # URL
    vault: str  # 32 hex digits
    format: int = FORMAT


class StateDir:
    """Paths inside a state directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings_file = root / "vault.json"
        self.header = root / "header"
        self.device = root / "device"
        self.heads = root / "heads"
        self.login = root / "login"
        self.paused = root / "paused"
        self.recognition_rests = root / "recognition-rests"
        self.cache_size = root / "cache-size"
        self.pins = root / "pins"
        self.journal = root / "journal"
        self.spool = root / "spool"
        self.scratch = root / "scratch"
        self.kept_heads = root / "kept-heads"
        self.catalog = root / "catalog"
        self.log = root / "log"

    def create(self) -> None:
        """Make the directory, for the user alone."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self.root, 0o700)

    def exists(self) -> bool:
        """Whether a vault was set up here."""
        return self.settings_file.exists()

    def settings(self) -> Settings:
        """Read the settings; raises NotAVault when there are none."""
        try:
            raw = json.loads(self.settings_file.read_bytes()[:65536])
            settings = Settings(str(raw["remote"]), str(raw["vault"]), int(raw["format"]))
        except FileNotFoundError:
            raise NotAVault(
                f"There is no vault in {self.root}; make one with `tagfs init` or `tagfs mount`, "
                "or bring one here with `tagfs join`."
            ) from None
        except (ValueError, KeyError, TypeError) as e:
            raise NotAVault(f"{self.settings_file} is damaged; remove it and `tagfs join`.") from e
        if settings.format > FORMAT:
            raise NewerVault(f"{self.root} was written by a newer tagfs; update tagfs.")
        return settings

    def write_settings(self, settings: Settings) -> None:
        """Write the settings; their presence says that the vault is complete."""
        write_file(self.settings_file, json.dumps(asdict(settings)).encode())

    def cache_limit(self, default: int) -> int:
        """Return how many bytes the cache may have: what remember_cache_limit() was told last."""
        try:
            return int(self.cache_size.read_bytes()[:20])
        except (OSError, ValueError):
            return default

    def remember_cache_limit(self, size: int) -> None:
        """Let the cache have ``size`` bytes from the next opening on."""
        write_file(self.cache_size, b"%d" % size)

    def lock(self) -> int:
        """Take the directory for this process until it ends; returns the descriptor.

        Raises MountError when another process has it.
        """
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise MountError(
                f"The vault in {self.root} is in use by another tagfs; unmount it first."
            ) from None
        return fd


def write_file(path: Path, data: bytes) -> None:
    """Replace a small file so that a crash leaves the old or the new one."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:  # a full disk first writes short, and fails only when asked again
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)
    _sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a small file, which may be gone already, so that it stays away after a power cut."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
