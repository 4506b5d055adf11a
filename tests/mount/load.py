"""A mixed load on a mount, with a model of what must be there whatever happens to the daemon.

One act at a time. When the daemon dies in the middle of an act, that act may have happened or
not (a write: not at all, as an empty new file, or whole); everything before it must be there.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from tagfs.pipeline.names import RESERVED

TAGS = ("red", "blue")
NOTE = "user.note"


@dataclass
class Model:
    """What the mount should show: files by path (folder/name) and their tags."""

    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, set[str]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def copy(self) -> Model:
        return Model(
            dict(self.files),
            {k: set(v) for k, v in self.tags.items()},
            dict(self.times),
            dict(self.notes),
            set(self.folders),
        )


class Load:
    """Random acts on ``root``; ``allowed`` are the models that the mount may show now."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.model = Model()
        self.allowed = [self.model]
        self.count = 0
        self._left: set[str] = set()  # paths that a tagged file was taken from

    def prepare(self) -> None:
        """Make the tags that files are put under."""
        for tag in TAGS:
            (self.root / "tags" / tag).mkdir(exist_ok=True)

    def act(self) -> None:
        """Do one act; an OSError leaves ``allowed`` with what may be there."""
        acts = [self._write, self._write, self._replace, self._rename, self._remove]
        acts += [self._tag, self._untag, self._folder, self._touch, self._patch, self._note]
        self.count += 1
        self.random.choice(acts)()
        self.allowed = [self.model]

    def _path(self) -> str:
        """Choose a path. What one program takes away and writes anew within two seconds keeps its
        tags, so that a path that a tagged file was taken from is not used again."""
        while True:
            folder = self.random.choice(["", *sorted(self.model.folders)])
            path = os.path.join(folder, f"f{self.random.randrange(40 + len(self._left))}.bin")
            if path not in self._left:
                return path

    def _existing(self) -> str | None:
        return self.random.choice(sorted(self.model.files)) if self.model.files else None

    def _bytes(self) -> bytes:
        # Words hang on contents, so no two files may be equal by chance.
        size = self.random.choice([16, 100, 131072, 131073, 400_000])
        return self.random.randbytes(size)

    def _may(self, *others: Model) -> None:
        self.allowed = [self.model, *others]

    def _write(self) -> None:
        path, data = self._path(), self._bytes()
        after = self.model.copy()
        after.files[path] = data
        after.times.pop(path, None)
        empty = self.model.copy()
        if path not in empty.files:
            empty.files[path] = b""
            after.tags.pop(path, None)
            after.notes.pop(path, None)
        self._may(after, empty)
        with open(self.root / path, "wb", buffering=0) as file:
            for at in range(0, len(data), 50_000):
                file.write(data[at : at + 50_000])
        self.model = after

    def _replace(self) -> None:
        path, data = self._path(), self._bytes()
        part = path + ".part"
        written = self.model.copy()
        written.files[part] = data
        written.times.pop(part, None)
        empty = self.model.copy()
        empty.files.setdefault(part, b"")
        after = self.model.copy()
        for table in (after.files, after.tags, after.times, after.notes):
            table.pop(path, None)
            table.pop(part, None)  # left over from a kill
        after.files[path] = data
        tags = self.model.tags.get(part, set()) | self.model.tags.get(path, set())
        if tags:  # saving over a document keeps what was said about it
            after.tags[path] = tags
        if part in self.model.notes:
            after.notes[path] = self.model.notes[part]
        self._may(empty, written)
        (self.root / part).write_bytes(data)
        self.allowed = [written, after]
        os.rename(self.root / part, self.root / path)
        self.model = after

    def _rename(self) -> None:
        old, new = self._existing(), self._path()
        if old is None or old == new or self.model.tags.get(new):
            return
        if self.model.tags.get(old):
            self._left.add(old)
        after = self.model.copy()
        for table in (after.files, after.tags, after.times, after.notes):
            table.pop(new, None)
            if old in table:
                table[new] = table.pop(old)  # type: ignore[assignment]
        self._may(after)
        os.rename(self.root / old, self.root / new)
        self.model = after

    def _remove(self) -> None:
        path = self._existing()
        if path is None:
            return
        if self.model.tags.get(path):
            self._left.add(path)
        after = self.model.copy()
        for table in (after.files, after.tags, after.times, after.notes):
            table.pop(path, None)
        self._may(after)
        os.unlink(self.root / path)
        self.model = after

    def _tag(self) -> None:
        path, tag = self._existing(), self.random.choice(TAGS)
        if path is None or tag in self.model.tags.get(path, set()):
            return
        after = self.model.copy()
        after.tags.setdefault(path, set()).add(tag)
        self._may(after)
        os.link(self.root / path, self.root / "tags" / tag / f"t{self.count}.bin")
        self.model = after

    def _untag(self) -> None:
        tagged = sorted(p for p, tags in self.model.tags.items() if tags)
        if not tagged:
            return
        path = self.random.choice(tagged)
        tag = self.random.choice(sorted(self.model.tags[path]))
        name = self._name_in(tag, path)
        after = self.model.copy()
        after.tags[path].discard(tag)
        self._may(after)
        os.unlink(self.root / "tags" / tag / name)
        self.model = after

    def _name_in(self, tag: str, path: str) -> str:
        ino = os.stat(self.root / path).st_ino
        for entry in os.scandir(self.root / "tags" / tag):
            if entry.stat().st_ino == ino:
                return entry.name
        raise AssertionError(f"{path} is not listed in tags/{tag}")

    def _folder(self) -> None:
        name = f"d{self.random.randrange(4)}"
        after = self.model.copy()
        if name in self.model.folders:
            if any(p.startswith(name + "/") for p in self.model.files):
                return
            after.folders.discard(name)
            self._may(after)
            os.rmdir(self.root / name)
        else:
            after.folders.add(name)
            self._may(after)
            os.mkdir(self.root / name)
        self.model = after

    def _touch(self) -> None:
        path = self._existing()
        if path is None:
            return
        when = self.random.randrange(10**18, 2 * 10**18)
        after = self.model.copy()
        after.times[path] = when
        self._may(after)
        os.utime(self.root / path, ns=(when, when))
        self.model = after

    def _note(self) -> None:
        path = self._existing()
        if path is None:
            return
        note = self.random.randbytes(self.random.randrange(300))
        after = self.model.copy()
        after.notes[path] = note
        self._may(after)
        os.setxattr(self.root / path, NOTE, note)
        self.model = after

    def _patch(self) -> None:
        path = self._existing()
        if path is None or len(self.model.files[path]) < 10:
            return
        old = self.model.files[path]
        at = self.random.randrange(len(old))
        patch = self.random.randbytes(self.random.randrange(1, 5000))
        after = self.model.copy()
        after.files[path] = old[:at] + patch + old[at + len(patch) :]
        after.times.pop(path, None)
        self._may(after)
        with open(self.root / path, "r+b", buffering=0) as file:
            file.seek(at)
            file.write(patch)
        self.model = after

    # -- looking -----------------------------------------------------------------------------

    def shown(self) -> Model:
        """Read what the mount shows."""
        found = Model()
        views = {os.fsdecode(name) for name in RESERVED}
        for above, folders, files in os.walk(self.root):
            below = os.path.relpath(above, self.root)
            below = "" if below == "." else below
            if not below:
                folders[:] = [f for f in folders if f not in views]
            found.folders |= {os.path.join(below, f) for f in folders}
            for name in files:
                path = os.path.join(below, name)
                found.files[path] = (self.root / path).read_bytes()
                found.times[path] = os.stat(self.root / path).st_mtime_ns
                if NOTE in os.listxattr(self.root / path):
                    found.notes[path] = os.getxattr(self.root / path, NOTE)
        inodes = {os.stat(self.root / p).st_ino: p for p in found.files}
        for tag in TAGS:
            for entry in os.scandir(self.root / "tags" / tag):
                path = inodes.get(entry.stat().st_ino)
                if path is not None:
                    found.tags.setdefault(path, set()).add(tag)
        return found

    def check(self) -> None:
        """Hold the mount against what may be there, and go on from what is."""
        found = self.shown()
        problems = []
        for model in self.allowed:
            problem = _difference(model, found)
            if problem is None:
                self.model = model
                self.allowed = [model]
                return
            problems.append(problem)
        raise AssertionError(f"after {self.count} acts: " + "; or ".join(problems))


def _difference(model: Model, found: Model) -> str | None:
    """Say what differs between what must be and what is."""
    if model.folders != found.folders:
        return f"folders {sorted(found.folders)} instead of {sorted(model.folders)}"
    if model.files.keys() != found.files.keys():
        missing = sorted(model.files.keys() - found.files.keys())
        extra = sorted(found.files.keys() - model.files.keys())
        return f"missing {missing}, unexpected {extra}"
    for path, data in model.files.items():
        if found.files[path] != data:
            return f"{path} has {len(found.files[path])} other bytes instead of {len(data)}"
        if path in model.times and found.times[path] != model.times[path]:
            return f"{path} has another time"
        if model.notes.get(path) != found.notes.get(path):
            return f"{path} has another note"
        if model.tags.get(path, set()) != found.tags.get(path, set()):
            return f"{path} has tags {found.tags.get(path)} instead of {model.tags.get(path)}"
    return None
