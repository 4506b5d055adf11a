"""What there is in the model, and what the user says of it: words on tags, marks and dates."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from things import ABOVE, Content, File, Folder, Tag, View, Words


class Saying:
    """Files, contents and tags, and the words on them."""

    def __init__(self) -> None:
        self.root = Folder()
        self.files: list[File] = []
        self.trash: list[File] = []
        self.contents: dict[bytes, Content] = {}
        self.tags = [Tag(name, name) for name in ABOVE]
        self.written: dict[tuple[View, str], File] = {}
        self.edited: dict[tuple[View, str], File] = {}
        self.kept: set[tuple[Tag, ...]] = set()
        self.looking: list[Content] = []  # what a beginning gallery looks at first
        self.time = 0.0  # seconds
        self._count = itertools.count(1)

    def content(self, data: bytes) -> Content:
        """Return what is known of these bytes."""
        return self.contents.setdefault(data, Content())

    def subject(self, file: File) -> Content:
        """Return where the user's words on a file hang: "Words hang on the file id until there is
        a content, then on the content id, media or not"."""
        return self.content(file.data) if file.data else file.said

    def live(self) -> list[File]:
        """Return every file that some place lists, oldest first."""
        return [f for f in self.files if f.places]

    def unfiled(self) -> list[File]:
        """Return the files that are in ``all/`` for want of a folder, or by choice."""
        return [f for f in self.live() if any(folder is None for folder, _ in f.places)]

    def twins(self, file: File) -> list[File]:
        """Return every live file of the same photo, oldest first; empty and other files never
        merge ("Empty and non-media files never merge")."""
        if not file.photo:
            return [file] if file.places else []
        return [f for f in self.live() if f.data == file.data]

    def line(self, file: File) -> File:
        """Return the file whose inode a view shows for this one ("A photo is listed once in a
        view, with the inode of its oldest file")."""
        return self.twins(file)[0] if file.photo else file

    def canonical(self, tag: Tag) -> Tag:
        """Follow merges."""
        while tag.into is not None:
            tag = tag.into
        return tag

    def stood(self, where: View) -> View:
        """Return a directory of views as it is to be found now, when tags were merged since."""
        return View(where.name, tuple(dict.fromkeys(map(self.canonical, where.tags))), where.parts)

    def find(self, name: str) -> Tag | None:
        """Return the tag of this name ("Tags compare by NFC casefold"). One that was merged away
        means what it went into; a name that a tag was renamed from is free."""
        same = [t for t in self.tags if t.name.casefold() == name.casefold()]
        same.sort(key=lambda t: t.into is not None)
        return self.canonical(same[0]) if same else None

    def above(self, tag: Tag) -> set[Tag]:
        """Return the tags above one."""
        names = ABOVE.get(tag.concept or "", ())
        return {self.canonical(t) for t in self.tags if t.concept in names and t.concept} - {tag}

    def words_of(self, file: File) -> Words:
        """Return the user's words, through merges, the later one where two meet; of two
        that were said at once the *yes*."""
        words: Words = {}
        for tag, word in self.subject(file).words.items():
            into = self.canonical(tag)
            if into not in words or (word[1], word[0]) > (words[into][1], words[into][0]):
                words[into] = word
        return words

    def tags_of(self, file: File) -> set[Tag]:
        """Return the tags in force: "*no* on T denies T and all below it, *yes* on T implies its
        ancestors, *no* on a leaf leaves the ancestors"; of two words that meet the later counts."""
        words = self.standing(file)
        seen = self.content(file.data).seen if file.photo else None
        in_force = {self.canonical(t) for t in self.tags if t.concept in (seen or ())}
        yes = {t: at for t, (word, at) in words.items() if word}
        for tag in yes:
            in_force |= {tag} | (self.above(tag) if file.data else set())
        return {
            tag
            for tag in in_force
            if not self._denied(
                words, tag, max((yes[t] for t in yes if tag in {t} | self.above(t)), default=0)
            )
        }

    def standing(self, file: File) -> Words:
        """Return the words that count: a *yes* that a later *no* took back is none."""
        words = self.words_of(file)
        return {
            tag: (word, at)
            for tag, (word, at) in sorted(words.items(), key=lambda item: item[1][1])
            if not word or not self._denied(words, tag, at)
        }

    def _denied(self, words: Words, tag: Tag, affirmed: int) -> bool:
        return any(
            not word and at > affirmed and t in {tag} | self.above(tag)
            for t, (word, at) in words.items()
        )

    def listed_tags(self) -> list[Tag]:
        """Return what ``tags/`` lists: what was made, and what some photo or document has."""
        had = {t for f in self.live() if f.data for t in self.tags_of(f)}
        return [t for t in self.tags if t.into is None and (t.kept or t in had)]

    def say(self, file: File, tags: Iterable[Tag], word: bool) -> None:
        """Note the user's word."""
        for tag in tags:
            self.subject(file).words[self.canonical(tag)] = (word, next(self._count))

    def tag_list(self, file: File) -> set[str]:
        """Return what ``user.xdg.tags`` has: "the most specific tags, and those that you gave"."""
        tags, words = self.tags_of(file), self.standing(file)
        below = {t for t in tags if file.data and any(t in self.above(o) for o in tags)}
        return {t.name for t in tags if t not in below or words.get(t, (False, 0))[0]}

    def add_tag(self, file: File, name: str) -> None:
        """Write the list with one more name: "*yes* to that tag; a name that there was not
        becomes a tag"."""
        tag = self.find(name)
        if tag is None:
            tag = Tag(name)
            self.tags.append(tag)
        self.say(file, [tag], True)

    def drop_tag(self, file: File, name: str) -> None:
        """Write the list with one name less: "not that tag, and nothing below it. If it is above
        a tag that stays in the list, only your own word on it is taken back"; "write it empty:
        takes your own *yes* words back, never says *no*"."""
        tag, words = self.find(name), self.subject(file).words
        assert tag is not None
        stay = [self.find(other) for other in self.tag_list(file) - {name}]
        if not stay:
            for word in [w for w, (yes, _) in words.items() if yes]:
                del words[word]
        elif any(tag in self.above(other) for other in stay if other is not None):
            for word in [w for w in words if self.canonical(w) is tag]:
                del words[word]
        else:
            self.say(file, [tag], False)

    def mean(self, file: File, where: View) -> None:
        """Say what being put into a view directory means: "unfiled + every tag of the path",
        "unfiled + the user's date", "unfiled + favourite"."""
        self.say(file, where.tags, True)
        if where.name == "favourites":
            self.subject(file).favourite = True
        elif where.name == "dates":
            self.subject(file).date = "-".join(where.parts)
