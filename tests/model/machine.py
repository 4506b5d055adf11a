"""A Hypothesis state machine: random acts on a gallery and its model, compared after each."""

from __future__ import annotations

import errno
import functools
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from desks import Desk
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from things import MEDIA, TAKES, VIEWS, File, Folder, Tag, View, Where, plain
from world import World

DATA = st.sampled_from(
    [b"", b"a text", b"another text", *(MEDIA + b for b in (b"d1", b"d2", b"t1", b"n1", b"u1"))]
)
NAMES = ["a.png", "b.png", "c.txt", "d"]
FOLDERS = ["d", "e", "people", "videos"]
TAGS = ["best", "Pets", "dog", "cat"]
DATES = ["2019", "2019-05", "2020"]
DEEP = 3
T = TypeVar("T")


class Pointless(Exception):
    """Nothing is there to do this act on, and nothing was done; the run goes on with the next."""


def assume(condition: object) -> None:
    """Leave an act out. (Hypothesis' own assume would leave the whole run out.)"""
    if not condition:
        raise Pointless


def act(**arguments: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make a method a rule."""

    def rule_of(method: Callable[..., None]) -> Any:
        @functools.wraps(method)
        def run(self: Gallery, **chosen: Any) -> None:
            self.acted = True
            try:
                method(self, **chosen)
            except Pointless:
                self.acted = False

        return rule(**arguments)(run)

    return rule_of


def _steady(name: str, file: File) -> str:
    """Return a name with what is the same in every run in place of a random id."""
    return re.sub("~[0-9a-f]{8}", f"~{file.born}", name)


class Gallery(RuleBasedStateMachine):
    """Acts of a user. ``desk`` says on what."""

    make_desk: ClassVar[Callable[[], Desk]]

    def __init__(self) -> None:
        super().__init__()
        self.desk = self.make_desk()
        self.world = World()
        self.listed: dict[Where, dict[str, File]] = {}  # as of the last check, of views
        self.by_ino: dict[int, File] = {}
        self.begun = 1
        self.acted = True  # since all was compared

    def teardown(self) -> None:
        self.desk.close()

    @initialize(full=st.booleans())
    def begin(self, full: bool) -> None:
        """Have something to act on in most runs."""
        if full:
            self.does(self.world.mkdir(self.world.root, "d"), self.desk.mkdir, "d")
            self.does(self.world.mkdir(View("tags"), "best"), self.desk.mkdir, "tags/best")
            folder, best = self.folders()[1], View("tags", (self.world.find("best"),))
            self.copy(folder, "a.png", MEDIA + b"d1")
            self.copy(folder, "c.txt", b"a text")
            self.copy(best, "b.png", MEDIA + b"t1")
            self.copy(View("all"), "a.png", MEDIA + b"d1")
            self.recognise()
            self.everything_is_as_the_model_says()

    # -- choosing ----------------------------------------------------------------------------

    def path(self, where: Where, name: str = "") -> str:
        """Return the path of a directory, or of a name in it."""
        if isinstance(where, Folder):
            parts: list[str] = []
            at: Folder | None = where
            while at is not None and at.parent is not None:
                parts.insert(0, at.name)
                at = at.parent
        else:
            tags = (self.world.canonical(t).name for t in where.tags)
            parts = [where.name, *tags, *where.parts]
        return "/".join([*parts, name] if name else parts)

    def folders(self) -> list[Folder]:
        """Return every own folder, the root first."""
        found = [self.world.root]
        for folder in found:
            found += [c for c in folder.children.values() if isinstance(c, Folder)]
        return found

    def views(self) -> list[View]:
        """Return every view directory that lists files."""
        years = self.world.folders_in(View("dates"))
        months = [(y, m) for y in years for m in self.world.folders_in(View("dates", (), (y,)))]
        return [
            *(View(name) for name in ("all", "trash", "recent", "untagged", "favourites")),
            View("review", (), ("unreadable",)),
            *(View("tags", (tag,)) for tag in self.world.listed_tags()),
            *(View("dates", (), parts) for parts in [*((y,) for y in years), *months]),
        ]

    def a_place(self, data: st.DataObject) -> Where:
        """Choose a directory."""
        kinds = ["own", "own", "all", "tags", "tags", "narrow", "dates", "any"]
        kind = data.draw(st.sampled_from(kinds))
        tags = self.world.listed_tags()
        places: list[Where] = list(self.views())
        if kind == "own":
            places = list(self.folders())
        elif kind == "all":
            places = [View("all")]
        elif kind == "tags":
            places = [View("tags", (tag,)) for tag in tags]
        elif kind == "narrow":
            pairs = [View("tags", two) for two in itertools.permutations(tags, 2)]
            places = [pair for pair in pairs if self.reachable(pair)]
        elif kind == "dates":
            places = [View("dates", (), tuple(date.split("-"))) for date in DATES]
        return self.one_of(data, {self.path(place) + "/": place for place in places})

    def one_of(self, data: st.DataObject, choices: dict[str, T]) -> T:
        """Choose by path, which is what a report shows."""
        assume(choices)
        return choices[data.draw(st.sampled_from(sorted(choices)))]

    def a_file(self, data: st.DataObject, *wanted: str) -> tuple[Where, str, File]:
        """Choose a file by one of its names: where, name, file."""
        places: list[tuple[Where, str, File]] = [
            (folder, name, child)
            for folder in self.folders()
            for name, child in folder.children.items()
            if isinstance(child, File)
        ]
        places += [(w, n, f) for w, names in self.listed.items() for n, f in names.items()]
        places += [(w, n, f) for (w, n), f in self.world.written.items() if self.standing(w, n, f)]
        if wanted:
            places = [p for p in places if self.kind(p[0]) in wanted]
        where, name, file = self.one_of(
            data, {self.path(w, _steady(n, f)): (w, n, f) for w, n, f in places}
        )
        if isinstance(where, View):
            there = self.at(where, name)
            assume(isinstance(there, File))
            assert isinstance(there, File)
            file = there
        return where, name, file

    def kind(self, where: Where) -> str:
        """Return "own" or the view's name."""
        return "own" if isinstance(where, Folder) else where.name

    def standing(self, where: View, name: str, file: File) -> bool:
        """Whether what was written under a name in a view still answers to it."""
        if name in self.listed.get(where, ()) or not self.world.shows(where, file):
            return False
        return self.reachable(where)

    def reachable(self, where: View) -> bool:
        """Whether no photo has the name of a narrowing: "A listed photo's name wins"."""
        if len(where.tags) < 2:
            return True
        try:
            return self.desk.stat(self.path(where)).kind == "dir"
        except (NotADirectoryError, FileNotFoundError):
            return False

    def at(self, where: Where, name: str) -> File | Folder | View | None:
        """Return what stands at a name. In views the gallery says what, but what resolves there
        must be a file of that view or a tag."""
        if isinstance(where, Folder):
            if where is self.world.root and name in VIEWS:
                return View(name)
            return where.children.get(name)
        try:
            seen = self.desk.stat(self.path(where, name))
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise
            return None
        if seen.kind == "dir":
            return View(where.name) if not where.tags else View("tags", where.tags)
        file = self.by_ino[seen.ino]
        known = (
            self.world.shows(where, file)
            or self.world.edited.get((self.world.stood(where), name)) is file
        )
        assert known, f"{self.path(where, name)} resolves to a stranger"
        return file

    def does(self, expected: int | None, act: Callable[..., Any], *args: Any) -> bool:
        """Do an act, compare how it ends, and say whether it was done."""
        got = None
        try:
            act(*args)
        except OSError as e:
            got = e.errno
        names = [errno.errorcode.get(e or 0, "done") for e in (got, expected)]
        assert got == expected, f"{act.__name__}{args}: {names[0]} instead of {names[1]}"
        return got is None

    # -- acts on files -----------------------------------------------------------------------

    @act(data=st.data(), name=st.sampled_from(NAMES), content=DATA)
    def copy_in(self, data: st.DataObject, name: str, content: bytes) -> None:
        where = self.a_place(data)
        self.copy(where, name, content)

    @act(data=st.data(), content=DATA)
    def copy_over(self, data: st.DataObject, content: bytes) -> None:
        where, name, _ = self.a_file(data)
        self.copy(where, name, content)

    def copy(self, where: Where, name: str, content: bytes) -> None:
        there = self.at(where, name)
        path = self.path(where, name)
        if isinstance(there, Folder | View):
            self.does(errno.EISDIR, self.desk.write, path, content)
            return
        assume(there is None or there.target is None)
        self.assume_no_tagged_twins(where, content, there)
        self.assume_no_document_is_written_over(where, there, content)
        before = len(self.world.files)
        if self.does(self.world.write(where, name, there, content), self.desk.write, path, content):
            made = [f for f in self.world.files[before:] if f.places]
            self.bind(where, name, made)

    @act(data=st.data(), more=st.sampled_from([b"x", b"yy"]))
    def append(self, data: st.DataObject, more: bytes) -> None:
        where, name, file = self.a_file(data)
        assume(file.target is None and len(file.data) < 20)
        self.assume_no_tagged_twins(where, file.data + more, file)
        expected = self.world.edit(file, file.data + more, where, name)
        self.does(expected, self.desk.append, self.path(where, name), more)

    @act(data=st.data(), size=st.sampled_from([0, 5, 9, 12]))
    def truncate(self, data: st.DataObject, size: int) -> None:
        where, name, file = self.a_file(data, "own")
        assume(file.target is None)
        new = file.data[:size].ljust(size, b"\0")
        assume(not new.startswith(MEDIA) or len(new) > len(MEDIA))
        self.assume_no_tagged_twins(where, new, file)
        self.assume_no_document_is_written_over(where, None if size else file, new)
        if size:
            expected = self.world.edit(file, new, where, name)
        else:
            expected = self.world.write(where, name, file, new)
        self.does(expected, self.desk.truncate, self.path(where, name), size)

    @act(data=st.data(), name=st.sampled_from(NAMES))
    def link(self, data: st.DataObject, name: str) -> None:
        old, old_name, file = self.a_file(data)
        new = self.a_place(data)
        there = self.at(new, name)
        self.assume_no_tagged_twins(new, file.data, file)
        # What restoring to a place that is taken means is not said anywhere.
        assume(file not in self.world.trash or self.world.restorable(file))
        expected = errno.EEXIST if there is not None else self.world.link(file, new, name)
        self.does(expected, self.desk.link, self.path(old, old_name), self.path(new, name))

    @act(data=st.data(), name=st.sampled_from(NAMES))
    def move(self, data: st.DataObject, name: str) -> None:
        self.move_to(data, self.a_place(data), name)

    @act(data=st.data())
    def drag(self, data: st.DataObject) -> None:
        self.move_to(data, self.a_place(data), None)

    @act(data=st.data())
    def move_over(self, data: st.DataObject) -> None:
        new, name, _ = self.a_file(data)
        self.move_to(data, new, name)

    def move_to(self, data: st.DataObject, new: Where, name: str | None) -> None:
        old, old_name, file = self.a_file(data)
        new_name = old_name if name is None else name
        there = self.at(new, new_name)
        paths = self.path(old, old_name), self.path(new, new_name)
        if isinstance(there, Folder | View):
            # The kernel sees by itself that a folder is above what is moved onto it.
            above = isinstance(there, Folder) and f"{self.path(old)}/".startswith(paths[1] + "/")
            no = errno.ENOTEMPTY if above and self.desk.mounted else errno.EISDIR
            self.does(no, self.desk.rename, *paths)
            return
        # The kernel answers itself: no call arrives.
        assume(not (self.desk.mounted and there is file))
        self.assume_no_tagged_twins(new, file.data, file)
        self.assume_no_document_is_written_over(new, there, file.data)
        expected = self.world.move(file, old, old_name, new, new_name, there)
        self.does(expected, self.desk.rename, *paths)

    @act(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        where, name, file = self.a_file(data)
        self.does(self.world.remove(where, name, file), self.desk.unlink, self.path(where, name))

    @act(data=st.data(), name=st.sampled_from(NAMES))
    def symlink(self, data: st.DataObject, name: str) -> None:
        where = self.a_place(data)
        if self.at(where, name) is not None:
            expected: int | None = errno.EEXIST
        elif isinstance(where, View):
            expected = errno.EPERM
        else:
            expected = self.world.free(where, name)
        if self.does(expected, self.desk.symlink, "to/" + name, self.path(where, name)):
            self.bind(where, name, [self.world.new(where, name, target="to/" + name)])

    @act(data=st.data(), name=st.sampled_from(TAGS), more=st.booleans())
    def edit_tags(self, data: st.DataObject, name: str, more: bool) -> None:
        """What Dolphin's tag editor does: read the list and write it with one name changed."""
        where, file_name, file = self.a_file(data)
        assume(file.target is None and file.places)
        self.assume_no_tagged_twins(View("tags"), file.data, file)
        path = self.path(where, file_name)
        names = self.desk.tags(path)
        if more:
            tag = self.world.find(name)
            assume((tag.name if tag else name) not in names)
            names.add(name)
            self.world.add_tag(file, name)
        else:
            name = self.one_of(data, {n: n for n in names})
            names.remove(name)
            self.world.drop_tag(file, name)
        self.does(None, self.desk.set_tags, path, names)

    def assume_no_tagged_twins(self, where: Where, data: bytes, file: File | None = None) -> None:
        """Known gap (docs/semantics.md): documents of equal bytes share their words, and a tag
        lists one of them only."""
        if data and not data.startswith(MEDIA):
            twins = [f for f in self.world.files if f.data == data and f is not file]
            known = [self.world.content(data), *([self.world.subject(file)] if file else [])]
            said = any(c.words or c.favourite or c.date or c.chosen for c in known)
            assume(not twins or not (said or (isinstance(where, View) and where.name != "all")))

    def assume_no_document_is_written_over(
        self, where: Where, there: File | None, data: bytes
    ) -> None:
        """Two texts are compared like pictures, and are always taken for one that was edited
        (docs/semantics.md); that has tests of its own. Emptying a photo's name in a view changes
        nothing until something is written there, and shows an empty file meanwhile."""
        if there is not None and not there.photo and there.data and not data.startswith(MEDIA):
            content = self.world.content(there.data)
            assume(not (content.words or content.favourite or content.date))
            assume(isinstance(where, Folder) or not self.world.gives_way(there))
        if there is not None and isinstance(where, View) and self.world.gives_way(there):
            assume(data)

    # -- acts on folders and tags ------------------------------------------------------------

    @act(data=st.data(), name=st.sampled_from([*FOLDERS, *TAGS]), tag=st.booleans())
    def make_folder(self, data: st.DataObject, name: str, tag: bool) -> None:
        where = View("tags") if tag else self.a_place(data)
        assume(self.path(where).count("/") < DEEP)
        there = self.at(where, name)
        if isinstance(where, View) and where.tags:
            # A tag that is not listed may still be there for a minute, for ``rm -r``.
            known = self.world.find(name)
            assume(known is None or known in self.world.listed_tags())
            assume(isinstance(there, File) or known not in where.tags or not self.desk.mounted)
        exists = there is not None and (isinstance(where, Folder) or isinstance(there, File))
        expected = errno.EEXIST if exists else self.world.mkdir(where, name)
        self.does(expected, self.desk.mkdir, self.path(where, name))

    @act(data=st.data())
    def forget_narrowing(self, data: st.DataObject) -> None:
        kept = [View("tags", path) for path in self.world.kept]
        where = self.one_of(data, {self.path(w): w for w in kept})
        assume(all(tag in self.world.listed_tags() for tag in where.tags))
        above = View("tags", where.tags[:-1])
        assume(isinstance(self.at(above, where.tags[-1].name), View))
        self.world.kept.remove(where.tags)
        self.does(None, self.desk.rmdir, self.path(where))

    @act(data=st.data())
    def remove_folder(self, data: st.DataObject) -> None:
        folder = self.one_of(data, {self.path(f): f for f in self.folders()[1:]})
        path = self.path(folder)
        self.does(self.world.rmdir(folder), self.desk.rmdir, path)

    @act(data=st.data())
    def remove_tag(self, data: st.DataObject) -> None:
        tag = self.a_tag(data)
        self.does(self.world.rmdir_tag(tag), self.desk.rmdir, "tags/" + tag.name)

    @act(data=st.data())
    def remove_tag_with_all(self, data: st.DataObject) -> None:
        """``rm -r tags/T``."""
        tag = self.a_tag(data)
        where = View("tags", (tag,))
        begun = self.desk.begun
        for name, file in list(self.listed.get(where, {}).items()):
            self.world.remove(where, name, file)
            self.desk.unlink(self.path(where, name))
        if self.desk.begun > begun:
            return  # rm ends with the mount that it works on, and so does the emptied tag
        if self.world.rmdir_tag(tag) is None:
            self.does(None, self.desk.rmdir, "tags/" + tag.name)

    @act(data=st.data(), name=st.sampled_from(TAGS), into=st.booleans())
    def rename_tag(self, data: st.DataObject, name: str, into: bool) -> None:
        tag = self.a_tag(data)
        there = self.world.find(name)
        # A tag's other names (in other case, merged into it) are the same directory to the kernel,
        # which answers by itself that nothing is to be done.
        assume(not (self.desk.mounted and there is tag))
        old = "tags/" + tag.name
        if into and there in self.world.listed_tags() and there is not tag:
            assert there is not None
            name = there.name
            path = f"tags/{name}/{tag.name}"
        else:
            path = "tags/" + name
        self.does(self.world.rename_tag(tag, name), self.desk.rename, old, path)

    def a_tag(self, data: st.DataObject) -> Tag:
        return self.one_of(data, {tag.name: tag for tag in self.world.listed_tags()})

    @act(data=st.data(), name=st.sampled_from(FOLDERS))
    def move_folder(self, data: st.DataObject, name: str) -> None:
        folder = self.one_of(data, {self.path(f): f for f in self.folders()[1:]})
        new = self.a_place(data)
        there = self.at(new, name)
        paths = self.path(folder), self.path(new, name)
        if isinstance(there, View):
            assume(False)
        assert not isinstance(there, View)
        if self.desk.mounted and isinstance(there, File) and isinstance(new, View):
            expected: int | None = errno.ENOTDIR  # the kernel answers by itself
        else:
            expected = self.world.move_folder(folder, new, name, there)
        self.does(expected, self.desk.rename, *paths)

    # -- time --------------------------------------------------------------------------------

    @act()
    def recognise(self) -> None:
        self.desk.recognise()
        self.world.look()

    @act(seconds=st.sampled_from([3.0, 3600.0, -7200.0]))
    def sleep(self, seconds: float) -> None:
        self.desk.sleep(seconds)
        self.world.time += seconds
        if seconds > 600:
            self.world.edited.clear()

    @act(how=st.sampled_from(["clean", "rebuilt", "killed"]))
    def reopen(self, how: str) -> None:
        assume(how != "killed" or self.desk.mounted)
        before = self.desk.hash()
        self.desk.reopen(how)
        assert self.desk.hash() == before, "the state hash is another after reopening"
        self.world.restart(how == "rebuilt")

    # -- what must hold after every act ------------------------------------------------------

    def bind(self, where: Where, name: str, files: list[File]) -> None:
        """Learn the inode number of a file that was just made; the name of a twin in a view may
        resolve to the photo's oldest file, and ``all/`` will list the twin itself."""
        if isinstance(where, View) and not self.reachable(where):
            return  # the file has the narrowing's name; it is met where it is listed
        for file in files:
            ino = self.desk.stat(self.path(where, name)).ino
            if ino in self.by_ino:
                assert self.by_ino[ino] is self.world.line(file) is not file
            else:
                self.learn(ino, file)

    def learn(self, ino: int, file: File) -> None:
        file.ino = ino
        self.by_ino[ino] = file

    def meet(self, where: View, name: str, ino: int) -> File:
        """Return the file that a view lists. A twin, or an old content in the trash, may be met
        here for the first time."""
        if ino not in self.by_ino:
            data = self.desk.read(self.path(where, name))
            among = self.world.trash if where.name == "trash" else self.world.unfiled()
            same = [
                f
                for f in among
                if f.ino is None
                and f.data == data
                and {self.world.subject(f).asked, *(n for _, n in f.lost + f.places)}
                & set(plain(name))
            ]
            assert same, f"{self.path(where, name)} is no file that was made"
            self.learn(ino, same[0])
        return self.by_ino[ino]

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Compare; the kernel may take a moment to hear what changed besides an act of its own."""
        if not self.acted:
            return
        try:
            self.compare()
        except (AssertionError, OSError):
            if not self.desk.mounted:
                raise
            time.sleep(1.5)
            self.compare()

    def compare(self) -> None:
        """Look at everything that there is."""
        self.world.come_back()
        if self.desk.mounted:  # nothing waits there but the recogniser, until it is told to look
            if self.desk.begun > self.begun:  # it was killed in the middle of the act
                self.begun = self.desk.begun
                self.world.restart()
            self.world.look_at_all()
        links: Counter[int] = Counter()
        for folder in self.folders():
            self.check_folder(folder, links)
        self.listed = {where: self.check_view(where, links) for where in self.views()}
        for file in self.world.files:
            file.labels = {n for n, f in self.listed[View("all")].items() if f is file}
            file.gathered = self.gathered(file)
        self.check_tops()
        self.check_names()
        self.check_tags()
        for file in self.world.live():
            self.check_links(file, links)

    def gathered(self, file: File) -> str | None:
        """Return under which name views of what was tagged, marked or dated list a file."""
        views = (names for where, names in self.listed.items() if self.kind(where) in TAKES[1:])
        return next((n for names in views for n, f in names.items() if f is file), None)

    def lines(self, where: Where) -> dict[str, int]:
        """List a directory: no name twice, and each resolves to what is listed."""
        path = self.path(where)
        lines = self.desk.list(path)
        assert len({n for n, _ in lines}) == len(lines), f"{path} lists a name twice: {lines}"
        for name, ino in lines:
            seen = self.desk.stat(self.path(where, name))
            assert seen.ino == ino, f"{self.path(where, name)} resolves to another inode"
        return dict(lines)

    def check_folder(self, folder: Folder, links: Counter[int]) -> None:
        """An own folder lists what was put there, and the bytes are those that were written."""
        lines = self.lines(folder)
        expected = set(folder.children)
        if folder is self.world.root:
            expected |= set(VIEWS)
        assert set(lines) == expected, f"{self.path(folder)}/ lists {set(lines)}, not {expected}"
        for name, child in folder.children.items():
            path = self.path(folder, name)
            if isinstance(child, Folder):
                assert self.desk.stat(path).kind == "dir"
                continue
            assert lines[name] == child.ino, f"{path} has another inode"
            links[lines[name]] += 1
            self.check_bytes(path, child)

    def check_bytes(self, path: str, file: File) -> None:
        if file.target is not None:
            assert self.desk.read_link(path) == file.target
            return
        assert self.desk.stat(path).size == len(file.data), f"{path} has another size"
        assert self.desk.read(path) == file.data, f"{path} has other bytes"

    def check_view(self, where: View, links: Counter[int]) -> dict[str, File]:
        """A view lists its photos once each, by their view name, and nothing else."""
        path, lines = self.path(where), self.lines(where)
        # "A listed photo's name wins over a narrowing."
        folders = {
            name
            for name in self.world.folders_in(where)
            if not where.tags or self.desk.stat(self.path(where, name)).kind == "dir"
        }
        assert folders <= set(lines), f"{path}/ lists {set(lines)} and lacks one of {folders}"
        # For a minute after it was emptied a tag resolves, so that ``rm -r`` can end.
        folders |= {p[-1].name for p in self.world.kept if p[:-1] == where.tags and where.tags}
        lines = {
            name: ino
            for name, ino in lines.items()
            if name not in folders or self.is_file(where, name)
        }
        found: dict[str, File] = {}
        for name, ino in lines.items():
            file = self.meet(where, name, ino)
            found[name] = file
            links[ino] += where.name != "recent"
            self.check_label(where, name, file)
        expected = self.world.members(where)
        missing = [f for f in expected if f not in found.values()]
        assert not missing, f"{path}/ lists {list(found)} and lacks {missing}"
        strange = [n for n, f in found.items() if f not in expected]
        assert not strange, f"{path}/ lists {strange}"
        for file, times in Counter(found.values()).items():
            entries = sum(folder is None for folder, _ in file.places)
            assert times == 1 or (where.name == "all" and times <= entries), f"{path}/ {found}"
        return found

    def is_file(self, where: View, name: str) -> bool:
        return self.desk.stat(self.path(where, name)).kind == "file"

    def check_label(self, where: View, name: str, file: File) -> None:
        """ "The view name of a photo is chosen once for the whole vault"; else what it is called,
        or ``name~id.ext``."""
        names = {n for _, n in (file.lost if where.name == "trash" else file.places)}
        content = self.world.content(file.data) if file.data else None
        if content is not None and content.asked:
            names.add(content.asked)
        if content is None or not file.photo or where.name == "trash":
            assert names & set(plain(name)), f"{self.path(where, name)} is called {names}"
            return
        if self.world.line(file) is not file:
            assert names & set(plain(name)), f"{self.path(where, name)} is called {names}"
            return
        if content.label is None or (not content.chosen and content.label != name):
            assert names & set(plain(name)), f"{self.path(where, name)} is called {names}"
            if where.name == "all":
                content.label = name
        assert content.label in (None, name), f"{self.path(where, name)} was {content.label}"

    def check_tops(self) -> None:
        """``tags/`` lists what was made and what a photo has, ``dates/`` the years there are; no
        photo has a position, and nobody is in any, so ``places/`` and ``people/`` list nothing."""
        for where in map(View, ("tags", "people", "places", "dates", "review", "search")):
            lines, expected = self.lines(where), self.world.folders_in(where)
            assert set(lines) == expected, f"{self.path(where)}/ lists {set(lines)}, not {expected}"

    def check_tags(self) -> None:
        """The list of tags of what views list, and what ``search/`` finds for each of them."""
        seen: set[File] = set()
        for where, found in self.listed.items():
            for name, file in found.items():
                if file.target is None and file.places and file not in seen:
                    seen.add(file)
                    path, expected = self.path(where, name), self.world.tag_list(file)
                    tags = self.desk.tags(path)
                    assert tags == expected, f"{path} has the tags {tags}, not {expected}"
        for tag in self.world.listed_tags():
            found = self.listed[View("tags", (tag,))]
            lines = self.desk.list(f"search/{tag.name}")
            photos = {name for name, file in found.items() if file.photo}
            assert {n for n, _ in lines} >= photos, f"search/{tag.name} finds {lines}"

    def check_names(self) -> None:
        """ "Every name that was written goes on resolving in the directory it was written to"."""
        world = self.world
        for (where, name), file in list(world.written.items()):
            there = world.stood(where)
            # A name that a photo had in views anyway is the photo's, and goes with its label.
            lasts = (None, name) in file.places or world.subject(file).label == name
            if not world.shows(there, file) or not lasts:
                del world.written[where, name]
                continue
            if not self.reachable(there):
                continue
            seen = self.desk.stat(self.path(there, name))
            listed = self.listed.get(there, {}).get(name)
            allowed = {file.ino, world.line(file).ino} if listed is None else {listed.ino}
            if (edited := world.edited.get((there, name))) is not None:
                allowed.add(edited.ino)
            # A name is recorded for all views together: where a photo that was called so in
            # another place belongs here as well, either may answer.
            called = [f for f in world.unfiled() if (None, name) in f.places]
            called += [world.line(f) for f in world.live() if world.subject(f).label == name]
            called += [f for f in world.live() if not f.photo and name in {n for _, n in f.places}]
            allowed |= {f.ino for f in called if world.shows(there, f)}
            assert seen.ino in allowed, (
                f"{self.path(there, name)} resolves to another file than was written there"
            )

    def check_links(self, file: File, links: Counter[int]) -> None:
        """Both invariants' first: "every live file is listed in an own folder or in ``all/``"; and
        "``st_nlink`` is above 1 where more than one entry is listed"."""
        everything = self.listed[View("all")].values()
        own = any(folder is not None for folder, _ in file.places)
        assert own or file in everything, f"a live file is listed nowhere: {file}"
        assert file.ino is not None
        where: Where = View("all")
        name = next((n for n, f in self.listed[View("all")].items() if f is file), "")
        if not name:
            where, name = next((w, n) for w, n in file.places if w is not None)
        count = self.desk.stat(self.path(where, name)).links
        # "A file's link count is the number of entries that show it" (docs/semantics.md).
        assert count == max(1, links[file.ino]) or not file.data, f"{name} has {count} links"
