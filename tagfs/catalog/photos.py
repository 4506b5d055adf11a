"""Photos: which contents are listed in views, under which name, and which tags are in force."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping

import cbor2
from pyroaring import BitMap

from tagfs.catalog.lists import Lists
from tagfs.catalog.pages import Pages
from tagfs.catalog.postings import Postings
from tagfs.catalog.records import FileRecord, PhotoRecord, TagRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.catalog.standing import ALL as ALL
from tagfs.catalog.standing import DENYING, NOWHERE, Standing, day_of, path_of
from tagfs.catalog.standing import FAVOURITES as FAVOURITES
from tagfs.catalog.standing import SEEN as SEEN
from tagfs.catalog.standing import UNREADABLE as UNREADABLE
from tagfs.catalog.standing import UNTAGGED as UNTAGGED
from tagfs.catalog.tables import Tables
from tagfs.catalog.view_names import ViewNames
from tagfs.catalog.words import standing_words, tags_in_force
from tagfs.model import NEVER, Content, ContentId, Stamp, TagId, Taxonomy, Word, is_person
from tagfs.vault.ops import Field, RecordAnalysis, RecordContent, SetRegister, SetWord

_CONTENTS = b"contents"


def fold(name: str) -> str:
    """Return the form in which tag names are compared."""
    return unicodedata.normalize("NFC", name).casefold()


class Photos:
    """Contents, tags and posting lists. Told of every operation that bears on them."""

    def __init__(
        self,
        tables: Tables,
        taxonomy: Taxonomy,
        on_photo: Callable[[PhotoRecord, set[TagId], set[bytes], bytes | None], None],
    ) -> None:
        self._tables = tables
        self._taxonomy = taxonomy
        self._on_photo = on_photo
        self._contents = Pages(tables.store, Table.PHOTO_PAGE)
        self.names = ViewNames(tables, self._contents)
        self._tag_pages = Pages(tables.store, Table.TAG_PAGE)
        self.postings = Postings(tables.store, Table.POSTING, Table.POSTING_COUNT)
        self.lists = Lists(tables.store, self.postings)

    # -- reading ---------------------------------------------------------------------------

    def get(self, photo: ContentId) -> PhotoRecord | None:
        """Return the record of a content."""
        return self._tables.photos.get(photo)

    def is_media(self, file: FileRecord) -> bool:
        """Whether what a file holds is known to be a photo or video."""
        photo = None if file.content is None else self.get(file.content[0])
        return photo is not None and photo.media

    def content(self, ident: ContentId) -> Content | None:
        """Return the record of where a content lies."""
        photo = self.get(ident)
        return None if photo is None else photo.content

    def contents(self) -> Iterator[ContentId]:
        """Yield every recorded content, photos, documents and packs."""
        for _, item in self._contents.scan(_CONTENTS, 0):
            yield ContentId(item)

    def tag(self, name: str) -> TagId | None:
        """Return the live tag with this name or synonym, through merges.

        The name that a concept was renamed from is free, so that tags can change places.
        """
        ids = self._tag_ids(_name_key(fold(name), False))
        if ids:
            return self.canonical(ids[0])
        concept = self._taxonomy.find(name)
        if concept is None or fold(self._taxonomy.name(concept) or "") == fold(name) != fold(
            self.tag_name(concept)
        ):
            return None
        return self.canonical(concept)

    def person(self, name: str) -> TagId | None:
        """Return the live person of this name, through merges."""
        ids = self._tag_ids(_name_key(fold(name), True))
        return self.canonical(ids[0]) if ids else None

    def knows_tag(self, tag: TagId) -> bool:
        """Whether anything was ever said of this tag."""
        return self._tables.tags.get(tag) is not None

    def tag_name(self, tag: TagId) -> str:
        """Return the name that a tag is listed under."""
        record = self._tables.tags.get(tag)
        chosen = record.regs.get(Field.TAG_NAME) if record else None
        return chosen or self._taxonomy.name(tag) or tag

    def tags(self) -> Iterator[tuple[int, TagId, str, int]]:
        """Yield (slot, tag, name, photos) of every tag that is listed and is no person."""
        return self._listed(persons=False)

    def persons(self) -> Iterator[tuple[int, TagId, str, int]]:
        """Yield (slot, person, name, photos) of every person that is listed."""
        return self._listed(persons=True)

    def _listed(self, persons: bool) -> Iterator[tuple[int, TagId, str, int]]:
        for slot, item in self._tag_pages.scan(b"", 0):
            tag = TagId(item.decode())
            if is_person(tag) is not persons:
                continue
            record = self._tables.tags.get(tag)
            if record is None or record.regs.get(Field.TAG_MERGED):
                continue
            count = self.postings.count(tag.encode())
            if count or record.regs.get(Field.TAG_KEPT, False):
                yield slot, tag, self.tag_name(tag), count

    def is_listed_tag(self, tag: TagId) -> bool:
        """Whether ``tags/`` shows this tag."""
        record = self._tables.tags.get(tag)
        if record is None or record.regs.get(Field.TAG_MERGED):
            return False
        kept = record.regs.get(Field.TAG_KEPT, False)
        return bool(kept) or self.postings.count(tag.encode()) > 0

    def is_dropped(self, tag: TagId) -> bool:
        """Whether the user dropped this tag's name, and has not made it again."""
        record = self._tables.tags.get(tag)
        return record is not None and record.regs.get(Field.TAG_KEPT) is False

    def canonical(self, tag: TagId) -> TagId:
        """Follow merges to the tag that now stands for this one; in a cycle the later loses."""
        seen = [tag]
        while True:
            record = self._tables.tags.get(seen[-1])
            into = record.regs.get(Field.TAG_MERGED) if record else None
            if into is None:
                return seen[-1]
            if into in seen:
                cycle = seen[seen.index(into) :]
                return max(cycle, key=lambda t: (self._merged_at(t), t))
            seen.append(TagId(into))

    def _merged_at(self, tag: TagId) -> Stamp:
        record = self._tables.tags.get(tag)
        return record.regs.stamp(Field.TAG_MERGED) if record else NEVER

    def above(self, tag: TagId) -> frozenset[TagId]:
        """Return every tag above one, through merges."""
        return frozenset(map(self.canonical, self._taxonomy.ancestors(tag))) - {tag}

    def numbers(self, tags: Iterable[TagId]) -> BitMap:
        """Return the photos that have every one of these tags."""
        result: BitMap | None = None
        for tag in tags:
            found = self.postings.bitmap(tag.encode())
            result = BitMap(found) if result is None else result & found
        return self.postings.bitmap(ALL) if result is None else result

    def latest(self, words: Mapping[TagId, tuple[Word, Stamp]]) -> dict[TagId, tuple[Word, Stamp]]:
        """Return what was said last of each tag, through merges; of two words that were said at
        once, as a move from tag to tag does, the *yes*."""
        said = [(s, w is Word.YES, tag, w) for tag, (w, s) in words.items() if w is not Word.UNSET]
        return {self.canonical(tag): (word, stamp) for stamp, _, tag, word in sorted(said)}

    def lasting(self, words: Mapping[TagId, tuple[Word, Stamp]]) -> dict[TagId, Word]:
        """Return the words that count, through merges, for one who says them all at once.

        A *yes* that a later *no* took back is left out.
        """
        affirmed, denied = standing_words(self.latest(words), self.above)
        return dict.fromkeys(affirmed, Word.YES) | dict.fromkeys(denied, Word.NO)

    # -- applying --------------------------------------------------------------------------

    def ensure(self, ident: ContentId) -> PhotoRecord:
        """Return the record of a content, made when this is the first that was heard of it."""
        record = self._tables.photos.get(ident)
        if record is None:
            record = PhotoRecord(ident)
            self._tables.photos.put(ident, record)
        return record

    def record_content(self, op: RecordContent, stamp: Stamp) -> None:
        """Note where a content lies, whatever order records come in."""
        photo = self.ensure(op.content.id)
        if any(at == stamp for at, _ in photo.records):
            return
        if not photo.records:
            self._contents.append(_CONTENTS, photo.id)
        photo.records.append((stamp, op.content))
        photo.records.sort(key=lambda record: record[0])
        self.refresh(photo)

    def record_analysis(self, op: RecordAnalysis, stamp: Stamp) -> None:
        """Replace what a pack saw on a photo by what it sees now."""
        photo = self.ensure(op.photo)
        old = photo.sights.get(op.pack)
        if old is not None and stamp <= old.stamp:
            return
        photo.sights[op.pack] = Sight(
            stamp, op.media_type, op.tags, op.facts, op.details, op.thumbnail, op.unreadable
        )
        self.refresh(photo)

    def set_word(self, op: SetWord, stamp: Stamp) -> None:
        """Note the user's word on a content."""
        photo = self.ensure(ContentId(op.photo))
        if stamp > photo.words.get(op.tag, (Word.UNSET, Stamp(-1, stamp.device)))[1]:
            photo.words[op.tag] = (op.word, stamp)
            self.ensure_tag(op.tag)
            self.refresh(photo)

    def set_register(self, op: SetRegister, stamp: Stamp) -> None:
        """Write a register of a photo."""
        photo = self.ensure(ContentId(op.id))
        if photo.regs.write(op.field, op.value, stamp):
            self.refresh(photo)

    def set_tag_register(self, op: SetRegister, stamp: Stamp) -> None:
        """Write a register of a tag; a merge moves its photos to the tag it went into."""
        tag = TagId(op.id.decode())
        record = self.ensure_tag(tag)
        before = self.canonical(tag)
        if not record.regs.write(op.field, op.value, stamp):
            return
        self._enter_tag_name(record)
        self._tables.tags.put(tag, record)
        if op.field is Field.TAG_MERGED:
            numbers = self.postings.bitmap(DENYING)  # what was denied may be something else now
            for into in (before, self.canonical(tag)):
                numbers = numbers | self.postings.bitmap(into.encode())
            for number in numbers:
                shown = self.names.shown(number)
                if shown is not None:
                    self.refresh(self.ensure(shown.photo))

    def attach(self, file: FileRecord, photo: ContentId) -> None:
        """A live file holds this content now."""
        record = self.ensure(photo)
        if file.id not in record.files:
            record.files.append(file.id)
            record.files.sort()
        self.refresh(record)

    def detach(self, file: FileRecord, photo: ContentId) -> None:
        """A file holds this content no longer, or nobody lists the file."""
        record = self.ensure(photo)
        self._count(file, 0, False)
        if file.id in record.files:
            record.files.remove(file.id)
        self.refresh(record)

    def ensure_tag(self, tag: TagId) -> TagRecord:
        """Return the record of a tag, made when it is used for the first time."""
        record = self._tables.tags.get(tag)
        if record is None:
            record = TagRecord(tag, self._tag_pages.append(b"", tag.encode()))
            self._enter_tag_name(record)
            self._tables.tags.put(tag, record)
        return record

    def refresh(self, photo: PhotoRecord) -> None:
        """Bring names, numbers and posting lists in line with the record."""
        affirmed = self._affirmed(photo)
        present = bool(photo.files) and photo.content is not None
        listed = present and photo.media
        before = set(photo.tags)
        old_name = photo.name
        tags: set[TagId] = set()
        if present and (listed or affirmed):
            seen = map(self.canonical, photo.seen)
            words = self.latest(photo.words)
            tags = tags_in_force(seen, words, self.above)
        oldest = self._oldest(photo) if present and (listed or affirmed) else None
        was = None if photo.number is None else self.names.shown(photo.number)
        self.names.enter(photo, oldest)
        moved: set[bytes] = set()
        if photo.number is not None:
            standing = self._stands(photo, listed, oldest, not tags)
            moved = self.lists.move(photo.number, photo.standing, standing)
            photo.standing = standing
            for tag in before - tags:
                self.postings.discard(tag.encode(), photo.number)
            for tag in tags - before:
                self.ensure_tag(tag)
                self.postings.add(tag.encode(), photo.number)
        now = None if oldest is None else oldest.id
        former = None if was is None or was.file == now else self._tables.files.get(was.file)
        if former and former.content and former.content[0] == photo.id:
            self._count(former, 0, False)
        self._count(oldest, len(tags) + photo.standing.places, listed)
        changed = before ^ tags
        was_listed = photo.listed
        photo.tags = sorted(tags)
        photo.listed = listed
        self._tables.photos.put(photo.id, photo)
        if changed or moved or was_listed != listed or old_name != photo.name:
            self._on_photo(photo, changed, moved, old_name)

    # -- parts of a refresh ------------------------------------------------------------------

    def _oldest(self, photo: PhotoRecord) -> FileRecord | None:
        files = [f for f in map(self._tables.files.get, photo.files) if f is not None]
        return min(files, key=lambda f: (f.born, f.id), default=None)

    def _count(self, file: FileRecord | None, views: int, in_all: bool) -> None:
        """Note how many entries in views have the inode of a file."""
        if file is not None and (file.views, file.in_all) != (views, in_all):
            file.views, file.in_all = views, in_all
            self._tables.files.put(file.id, file)

    @staticmethod
    def _affirmed(photo: PhotoRecord) -> bool:
        """Whether the user put it into a view, which then lists documents, too."""
        regs = photo.regs
        said = any(word is Word.YES for word, _ in photo.words.values())
        return said or bool(regs.get(Field.FAVOURITE)) or regs.get(Field.DATE) is not None

    @staticmethod
    def _stands(
        photo: PhotoRecord, listed: bool, oldest: FileRecord | None, untagged: bool
    ) -> Standing:
        """Return the lists that a photo belongs into; ``oldest`` None: no view has it."""
        if oldest is None:
            return NOWHERE
        sight = photo.sight
        located = sight.facts.located if sight is not None else None
        flags = {
            ALL: listed,
            SEEN: listed and sight is not None,
            UNREADABLE: listed and bool(sight and sight.unreadable),
            UNTAGGED: listed and untagged,
            FAVOURITES: bool(photo.regs.get(Field.FAVOURITE)),
            DENYING: any(word is Word.NO for word, _ in photo.words.values()),
        }
        return Standing(
            frozenset(flag for flag, belongs in flags.items() if belongs),
            photo.date if listed or photo.regs.get(Field.DATE) is not None else None,
            day_of(oldest.born >> 16) if listed else None,
            path_of(located) if listed and located is not None else None,
        )

    def _tag_ids(self, key: bytes) -> list[TagId]:
        raw = self._tables.store.get(Table.TAG_NAME, key)
        return [] if raw is None else [TagId(t) for t in cbor2.loads(raw)]

    def _enter_tag_name(self, record: TagRecord) -> None:
        name = record.regs.get(Field.TAG_NAME) or self._taxonomy.name(record.id)
        key = None if name is None else fold(name)
        if key == record.key:
            return
        if record.key is not None:
            old = _name_key(record.key, is_person(record.id))
            rest = [t for t in self._tag_ids(old) if t != record.id]
            self._tables.store.put(Table.TAG_NAME, old, cbor2.dumps(rest))
        if key is not None:
            new = _name_key(key, is_person(record.id))
            ids = sorted({*self._tag_ids(new), record.id})
            self._tables.store.put(Table.TAG_NAME, new, cbor2.dumps(ids))
        record.key = key


def _name_key(folded: str, person: bool) -> bytes:
    """Return the key in TAG_NAME: a tag and a person may be called alike."""
    return (b"\xff" if person else b"") + folded.encode()  # no byte of UTF-8
