"""A small model of what the tree means, written from the design's sentences and not from the code.

Files are told apart by identity, photos by their bytes, tags by identity; a *view directory* is
``all``, ``trash`` or a path of tags. Acts take what stands at a name already (``there``), because
under which suffix a view lists a photo depends on ids that no user can foresee. Every act returns
None, or the errno that the user gets, and then nothing has changed.
"""

from __future__ import annotations

import errno

from naming import Naming
from things import (
    MEDIA,
    RESERVED,
    SEEN,
    TAKES,
    Content,
    File,
    Folder,
    Tag,
    View,
    Where,
    Words,
)

DELETES = ("all", "dates", "recent", "untagged", "review")
"""Views in which ``rm`` deletes."""
AN_HOUR = 3600.0


class World(Naming):
    """Everything there is, and what acts do to it."""

    # -- looking -----------------------------------------------------------------------------

    def members(self, where: View) -> list[File]:
        """Return which files a view directory lists, each once."""
        if where.name == "trash":
            return list(self.trash)
        lines = dict.fromkeys(self.line(f) for f in self.live() if self._belongs(f, where))
        if where.name == "all":
            # "all/, which lists every unfiled file, twins and non-media too"
            lines |= dict.fromkeys(self.unfiled())
        return list(lines)

    def shows(self, where: View, file: File) -> bool:
        """Whether the name of a file that was written into a view directory must resolve there."""
        if where.name == "trash":
            return file in self.trash
        return bool(file.places) and (where.name == "all" or self._belongs(file, where))

    def _belongs(self, file: File, where: View) -> bool:
        said = self.subject(file)
        if not file.data and all(folder is not None for folder, _ in file.places):
            return False  # "listed as soon as it has bytes"
        match where.name:
            case "all":
                return file.photo
            case "tags":
                return set(map(self.canonical, where.tags)) <= self.tags_of(file)
            case "favourites":
                return said.favourite
            case "dates":
                return said.date == "-".join(where.parts)
            case "untagged":
                return file.photo and not self.tags_of(file)
            case "review":
                return file.photo and said.seen is not None and file.data[len(MEDIA) :][:1] == b"u"
            case _:  # everything came in within the last 30 days
                return where.name == "recent" and file.photo

    def folders_in(self, where: View) -> set[str]:
        """Return which directories a view directory lists."""
        if where == View("tags"):
            return {tag.name for tag in self.listed_tags()}
        if where.name == "tags":
            below = (path for path in self.kept if path[:-1] == where.tags)
            return {path[-1].name for path in below if path[-1] in self.listed_tags()}
        if where == View("review"):
            return {"unreadable"}
        if where.name == "dates":
            dates = {self.subject(f).date for f in self.live() if f.data} - {None}
            split = [tuple(date.split("-")) for date in dates if date is not None]
            depth = len(where.parts)
            return {d[depth] for d in split if len(d) > depth and d[:depth] == where.parts}
        return set()

    # -- files -------------------------------------------------------------------------------

    def put(self, file: File, where: Where, name: str) -> None:
        """Give a file a place. A view's name for it has to resolve from now on."""
        if isinstance(where, Folder):
            where.children[name] = file
            if (where, name) not in file.places:
                file.places.append((where, name))
        else:
            if (None, name) not in file.places:
                file.places.append((None, name))
            self.note(file, where, name)

    def note(self, file: File, where: View, name: str) -> None:
        """Something was written under a name in a view."""
        self.written[where, name] = file

    def take(self, file: File, folder: Folder | None, name: str) -> None:
        """Take a place away; with the last one the file goes ("to trash (when the last entry)")."""
        self._unplace(file, folder, name)
        if not file.places:
            self._discard(file, [(folder, name)])

    def delete(self, file: File) -> None:
        """``rm`` in ``all/``, ``dates/`` and the like trashes every live file of that photo; a twin
        that ``all/`` lists beside the photo by a name of its own goes alone."""
        for twin in self.twins(file) if self.line(file) is file else [file]:
            places = list(twin.places)
            for place in places:
                self._unplace(twin, *place)
            self._discard(twin, places)

    def _unplace(self, file: File, folder: Folder | None, name: str) -> None:
        file.places.remove((folder, name))
        if folder is not None:
            del folder.children[name]

    def _discard(self, file: File, places: list[tuple[Folder | None, str]]) -> None:
        """An empty file, or a symlink, loses nothing: it is gone at once."""
        file.lost, file.trashed, file.order = places, self.time, next(self._count)
        file.version_of = None  # what was brought back since is no former content any more
        if file.data:
            self.trash.append(file)

    def new(self, where: Where, name: str, data: bytes = b"", target: str | None = None) -> File:
        """Make a file: "Copying always makes an independent file"."""
        file = File(next(self._count), b"", target)
        self.files.append(file)
        self.put(file, where, name)
        if isinstance(where, View):
            self.mean(file, where)
        self.fill(file, data)
        return file

    def fill(self, file: File, data: bytes, emptied: bool = False) -> None:
        """Give a file another content: "Editing one file gives that file another content (a new
        photo, with the user's tags copied); its twins keep the old". What was said of the new
        content before stays. After an overwrite (``emptied``) of a photo words go along "only when
        it is recognisably the same picture", which no two pictures of this model are."""
        if data == file.data:
            return
        words, old = self.standing(file), self.subject(file)
        origin, new = self._origin(file), self.content(data) if data else Content()
        unseen = file.photo and origin != file.data
        if file.data:
            self._keep_old(file)
        if unseen or (data and not (file.photo and emptied)):
            self._tell(old, words, new, not file.data)
        if emptied and file.photo:
            file.over.add(file.data)
        if file.photo and (emptied or not data):
            file.before = origin
        file.said = Content() if data else new
        file.data = data
        self._to_compare(file, file.before)
        self._may_be_called_again(file)

    def _tell(self, old: Content, words: Words, new: Content, anew: bool) -> None:
        """Say of a content what was said of another: where nothing was said yet, or ``anew``."""
        now = next(self._count)
        for tag, (word, _) in words.items():
            if anew or tag not in new.words:
                new.words[tag] = (word, now)
        new.favourite |= old.favourite
        new.date = old.date or new.date if anew else new.date or old.date

    def _origin(self, file: File) -> bytes | None:
        """Return the picture that what is written over a file is compared with: of several that
        were written one over another before anybody looked, the first."""
        if file.data and (file.before is None or self.content(file.data).seen is not None):
            return file.data
        return file.before

    def _to_compare(self, file: File, before: bytes | None) -> None:
        """A file stands in place of a picture. Whether it is the same one is known at once when
        both were seen, and when one of the two is none."""
        pictures = before is not None and before.startswith(MEDIA) and before != file.data
        known = [self.content(data).seen is not None for data in (before, file.data) if data]
        if not pictures or (file.data and (not file.photo or all(known))):
            before = None
        file.before = before

    def _keep_old(self, file: File) -> None:
        """The old content stays in the trash; "of non-media the last three versions, at most one
        an hour"."""
        if not file.photo:
            if not self._due(file):
                return
            for version in self._versions(file)[2:]:
                self.trash.remove(version)
        ghost = File(next(self._count), file.data, lost=list(file.places), trashed=self.time)
        ghost.order = ghost.born
        ghost.version_of = None if file.photo else file
        self.files.append(ghost)
        self.trash.append(ghost)

    def _versions(self, file: File) -> list[File]:
        """Return the former contents of a text, the newest first."""
        kept = (f for f in self.trash if f.version_of is file)
        return sorted(kept, key=lambda f: f.order, reverse=True)

    def _due(self, file: File) -> bool:
        newest = self._versions(file)[:1]
        return not newest or not 0 <= self.time - newest[0].trashed < AN_HOUR

    def _take_for(self, new: File, old: File, folder: Folder, name: str) -> None:
        """A file is moved over another. What a text was is a version of the new one then; one
        that a program has just saved in that way is kept once an hour only."""
        if not self.subject(new).chosen:
            if not old.data or (old.photo and self._origin(old) != old.data):
                self._tell(self.subject(old), self.standing(old), self.subject(new), False)
            self._to_compare(new, self._origin(old))
        if old.photo or len(old.places) != 1:
            self.take(old, folder, name)
            return
        kept = self.subject(new).chosen or self._due(old)
        self.take(old, folder, name)
        if not kept and old in self.trash:
            self.trash.remove(old)
        new.over.add(old.data)
        mine = self._versions(old)
        both = sorted([*mine, *self._versions(new)], key=lambda f: f.order, reverse=True)
        for version in both[2 if kept else 3 :]:
            self.trash.remove(version)
        for version in mine:
            version.version_of = new
        if kept:
            old.version_of = new

    # -- acts on files -----------------------------------------------------------------------

    def free(self, where: Where, name: str) -> int | None:
        """Say why no new entry of this name can be made here, where nothing has it yet."""
        if isinstance(where, Folder):
            return errno.EPERM if where is self.root and name in RESERVED else None
        # Neither beside the tags nor beside the years.
        top = where.name in ("tags", "dates") and not where.tags + where.parts
        return errno.EPERM if where.name not in TAKES or top else None

    def write(self, where: Where, name: str, there: File | None, data: bytes) -> int | None:
        """Copy over a name, or make it. "In views writing under an existing name never destroys
        the photo that had it": "the name shows what was just written, the older photo is listed as
        ``name~id.ext``, both exist". A note that lies in ``all/`` is overwritten like anywhere."""
        if there is not None and there in self.trash:
            return errno.EPERM
        if there is not None and (isinstance(where, Folder) or not self.gives_way(there)):
            if there.photo:
                self.fill(there, data, True)
            else:
                self._rewrite(there, data)
            return None
        if (no := self.free(where, name)) is not None:
            return no
        if there is not None:
            self.give_way(there, name, data)
        file = self.new(where, name, data)
        if there is not None:
            file.over.add(there.data)
            self._to_compare(file, there.data)
        taken = there is not None and there.data != data and not self._anothers(name, there)
        if taken and file.photo and not self.subject(file).chosen:
            self._aside(name)
            self._called(file, name)
        return None

    def gives_way(self, there: File) -> bool:
        """Whether writing under a file's name in a view leaves it as it is."""
        return there.photo or (bool(there.data) and self._is_filed(there))

    def _is_filed(self, file: File) -> bool:
        return any(folder is not None for folder, _ in file.places)

    def give_way(self, there: File, name: str, data: bytes, comes: File | None = None) -> None:
        """Free a name in the views for another file. The same bytes again make no more files,
        beside the one that comes."""
        if there.data == data:
            said = self.subject(there)
            if not said.chosen and said.label == name and self._contested(name, there):
                self._called(there, name)
            for file in self.live():
                here = name in file.labels or (None, name) in file.places
                unfiled = [f for f, _ in file.places] == [None]
                if file.data == data and here and unfiled and file is not comes:
                    self._unplace(file, *file.places[0])
        elif there.photo or self._is_filed(there):
            if (old := self._unfiled_as(there, name)) is not None:
                there.places.remove((None, old))
                there.places.append((None, name))
            if not there.photo:
                if self._called_now(there) == name:
                    self._called(there, name)
            elif self.subject(there).label == name and self.line(there) is there:
                self._aside(name)
        else:
            self.delete(there)

    def edit(self, there: File, data: bytes, where: Where, name: str) -> int | None:
        """Open for writing without truncation: an edit of that file wherever it is opened. Its
        view name goes along, but twins that keep the old bytes keep it, too, unless it was opened
        by that name in a view."""
        if there in self.trash:
            return errno.EPERM
        self._rewrite(there, data, name if isinstance(where, View) else None)
        if isinstance(where, View):
            self.edited[self.stood(where), name] = there
        return None

    def _rewrite(self, there: File, data: bytes, seen_as: str | None = None) -> None:
        """Give a file other bytes, and their content the name in views; ``seen_as`` in a view."""
        old, alone = self.subject(there), len(self.twins(there)) == 1
        called = seen_as
        if alone:
            label = self._called_now(there)
            if label is None and not there.photo:
                label = old.asked  # nobody lists it under it now, who knows whether again
            called = label if old.chosen or self._contested(label, there) else None
        ours = alone or old.label == called
        self.fill(there, data)
        new = self.subject(there)
        if data and called is not None and ours and new is not old and not new.chosen:
            old.label, old.asked, old.chosen = None, called, True
            self._called(there, called)

    def link(self, file: File, where: Where, name: str) -> int | None:
        """``ln`` to a name that is free: "Only ``ln`` makes one inode in two folders"."""
        if (no := self.free(where, name)) is not None:
            return no
        if file.target is not None and isinstance(where, View):
            return errno.EPERM  # symlinks are of own folders
        if file in self.trash:
            self._restore(file)
            for folder, old in file.lost:
                self._put_back(file, folder, old)
        self.bring(file, where, name)
        return None

    def restorable(self, file: File) -> bool:
        """Whether every place that a deleted file had is there and free."""
        return all(
            folder is None or (self.stands(folder) and name not in folder.children)
            for folder, name in file.lost
        )

    def stands(self, folder: Folder) -> bool:
        """Whether an own folder is there."""
        above = folder.parent
        if above is None:
            return True
        return above.children.get(folder.name) is folder and self.stands(above)

    def _restore(self, file: File) -> None:
        self.trash.remove(file)

    def _put_back(self, file: File, folder: Folder | None, name: str) -> None:
        if folder is None:
            file.places.append((None, name))
        else:
            folder.children[name] = file
            file.places.append((folder, name))

    def bring(self, file: File, where: Where, name: str) -> None:
        """Add a file at a target: a folder gets an entry, a view says what it means. The name
        resolves in the view from now on; a photo that is called so needs no entry for it."""
        if isinstance(where, Folder):
            self.put(file, where, name)
            return
        self.mean(file, where)
        if name in file.labels:
            self.note(file, where, name)
        else:
            self.put(file, where, name)

    def remove(self, where: Where, name: str, there: File) -> int | None:
        """``rm``."""
        if isinstance(where, View):
            self.edited.pop((self.stood(where), name), None)
        if isinstance(where, Folder):
            self.take(there, where, name)
        elif where.name == "tags":
            self.say(there, where.tags[-1:], False)  # "untags (the last tag of the path)"
        elif where.name == "favourites":
            self.subject(there).favourite = False  # "un-favourite"
        elif where.name in DELETES:
            self.delete(there)
        elif where.name == "trash":
            self.trash.remove(there)
        else:
            return errno.EPERM
        return None

    def move(
        self, file: File, old: Where, name: str, new: Where, new_name: str, there: File | None
    ) -> int | None:
        """``mv`` of a file: "Between places of one kind a move moves"; "Between kinds it **adds at
        the target and takes nothing away**"; the trash is the exception on both sides."""
        same_kind = isinstance(old, View) and isinstance(new, View) and old.name == new.name
        if new == View("trash"):
            if old == new:
                return errno.EPERM
            if isinstance(old, Folder):
                self.take(file, old, name)
            else:
                self.delete(file)
            return None
        if there is None or isinstance(new, View):
            no = self.free(new, new_name)
            if no is not None and (not same_kind or old != new):
                return no
        if file.target is not None and isinstance(new, View):
            return errno.EPERM
        restored = file in self.trash
        if restored:
            self.trash.remove(file)
        elif there is file and not same_kind:
            if isinstance(new, View):
                self.bring(file, new, new_name)
            return None
        if isinstance(new, Folder):
            if there is not None and isinstance(old, Folder):
                self._take_for(file, there, new, new_name)
            elif there is not None:
                self.take(there, new, new_name)
            if isinstance(old, Folder):
                self._unplace(file, old, name)
            self.put(file, new, new_name)
        elif same_kind:
            assert isinstance(old, View)
            self._move_inside(file, old, name, new, new_name, there)
        elif there is None or there is file or restored:
            self.bring(file, new, new_name)
        else:
            self.mean(file, new)  # "A *known* photo ... only gains what the target means"
        return None

    def _move_inside(
        self, file: File, old: View, name: str, new: View, new_name: str, there: File | None
    ) -> None:
        """Move within a view. "Renaming a file inside a view sets the photo's view name; own
        names stay". Over another's name a file that was just written takes it, as by copying; one
        that is known, looked at or from an own folder, "only gains what the target means"."""
        was, comes = self.stood(old), self.stood(new)
        if was != comes:
            if was.tags and was.tags[-1] not in comes.tags:
                self.say(file, was.tags[-1:], False)
            self.mean(file, new)
        content = self.subject(file)
        if there is not None and there is not file:
            if content.chosen or any(folder is not None for folder, _ in file.places):
                return
            self.give_way(there, new_name, file.data, file)
            file.over.add(there.data)
            self._to_compare(file, there.data)
        elif name == new_name:
            return
        if (old_name := self._unfiled_as(file, name)) is not None:
            file.places.remove((None, old_name))
            if (None, new_name) not in file.places:
                file.places.append((None, new_name))
        for key in [k for k, f in self.written.items() if k[1] in (name, new_name) and f is file]:
            del self.written[key]
        self.note(file, new, new_name)
        # Of a text the name is its own, until somebody tags it.
        listed = file.photo or self._is_known(file)
        if file.data and listed and (self.line(file) is file or not content.chosen):
            if content.label != new_name:
                self._aside(new_name)
            self._called(file, new_name)

    # -- acts on folders and tags ------------------------------------------------------------

    def mkdir(self, where: Where, name: str) -> int | None:
        """``mkdir`` of a name that nothing has."""
        if isinstance(where, Folder):
            if (no := self.free(where, name)) is None:
                where.children[name] = Folder(where, name)
            return no
        if where.name != "tags":
            return errno.EPERM
        tag = self.find(name)
        if tag is None:
            tag = Tag(name)
            self.tags.append(tag)
        elif not where.tags and tag in self.listed_tags():
            return errno.EEXIST
        if where.tags:  # "a kept narrowing"; its name is a tag's
            if tag in where.tags:
                return errno.EPERM
            if (*where.tags, tag) in self.kept:
                return errno.EEXIST
            self.kept.add((*where.tags, tag))
            if tag in self.listed_tags():
                return None
        tag.kept = True
        return None

    def rmdir(self, folder: Folder) -> int | None:
        """``rmdir`` of an own folder."""
        if folder.children:
            return errno.ENOTEMPTY
        assert folder.parent is not None
        del folder.parent.children[folder.name]
        return None

    def rmdir_tag(self, tag: Tag) -> int | None:
        """``rmdir``: "empty tag: drops the name"."""
        if self.members(View("tags", (tag,))):
            return errno.ENOTEMPTY
        tag.kept = False
        return None

    def move_folder(
        self, folder: Folder, new: Where, name: str, there: Folder | File | None
    ) -> int | None:
        """``mv`` of an own folder: a rename, into the trash a deletion, else ``EPERM``."""
        if isinstance(new, View):
            if new != View("trash"):
                return errno.EPERM
            self._discard_folder(folder)
            return None
        if there is folder:
            return None
        above: Folder | None = new
        while above is not None:
            if above is folder:
                return errno.EINVAL
            above = above.parent
        if there is None:
            if (no := self.free(new, name)) is not None:
                return no
        elif isinstance(there, File):
            return errno.ENOTDIR
        elif there.children:
            return errno.ENOTEMPTY
        assert folder.parent is not None
        del folder.parent.children[folder.name]
        folder.parent, folder.name = new, name
        new.children[name] = folder
        return None

    def _discard_folder(self, folder: Folder) -> None:
        """Delete a folder with everything in it; what goes goes with all places it had there."""
        places: dict[File, list[tuple[Folder | None, str]]] = {}
        folders = [folder]
        for at in folders:
            for name, child in at.children.items():
                if isinstance(child, Folder):
                    folders.append(child)
                else:
                    places.setdefault(child, []).append((at, name))
        for file, found in places.items():
            for place in found:
                self._unplace(file, *place)
            if not file.places:
                self._discard(file, found)
        for at in reversed(folders):
            self.rmdir(at)

    def rename_tag(self, tag: Tag, name: str) -> int | None:
        """``mv`` of a tag: "renames the tag, later recognitions follow; onto or **into** a tag:
        merge". A tag does not merge into one of its own kinds."""
        into = self.find(name)
        if into is None or into is tag:
            tag.name = name
            return None
        if tag in self.above(into):
            return errno.EPERM
        into.kept |= into not in self.listed_tags()  # there is a folder where one was moved
        tag.into = into
        self.kept = {path for path in self.kept if tag not in path}
        return None

    # -- time --------------------------------------------------------------------------------

    def look(self) -> None:
        """Everything that lies there long enough was recognised, and what was begun is ended."""
        for data, content in self.contents.items():
            if data.startswith(MEDIA) and content in self.looking:
                content.seen = SEEN[data[len(MEDIA) : len(MEDIA) + 1]]
        self.looking.clear()
        for file in self.live():
            if file.data:  # an empty one is compared when it has bytes again
                file.over.clear()
            if file.photo and file.before is not None:  # looked at, too, though it is gone
                self.content(file.before).seen = SEEN[file.before[len(MEDIA) : len(MEDIA) + 1]]
                file.before = None
            if file.photo:
                content = self.content(file.data)
                content.seen = SEEN[file.data[len(MEDIA) : len(MEDIA) + 1]]
                content.chosen = True
        self.edited = {key: file for key, file in self.edited.items() if not file.photo}

    def restart(self, rebuilt: bool = False) -> None:
        """The gallery ended and began again, with looking at what it had not seen; with a new
        catalog it waits for a while, as if everything had just come in."""
        self.edited.clear()
        self.looking = []
        if not rebuilt:
            self.look_at_all()

    def look_at_all(self) -> None:
        """Whatever is there is being looked at, and what is seen counts though it goes before."""
        self.looking += [self.content(f.data) for f in self.live() if f.photo]
