"""Every table of the catalog, written down once: key, value, invariants, who writes it.

All tables are point tables (catalog/store.py): the key is hashed under a key of the vault, the
value is sealed. Ordered lists are pages on top (catalog/pages.py). Values are CBOR. The only
writer is catalog/state.py unless a table says otherwise. Everything can be rebuilt from vault,
local journal and spool, so a change here needs only a new ``SCHEMA`` number.

============== ========================= ==================================================
table          key                       value
============== ========================= ==================================================
META           fixed names               numbers of the store itself (written by store.py)
FILE           file id                   registers, entries with their dots, inode (records.py)
FOLDER         folder id                 registers, inode (records.py)
FOLDER_PAGE    folder id, page           slots (kind, id, name): what a folder lists
NAME           folder id + name          holders (kind, id, slot); the smallest id has the plain
                                         name, each further one is listed as ``name~id``
INODE          inode number, 8 bytes     (kind, id) of the file or folder that has it
PHOTO          content id                content record, files, analyses, words (records.py)
PHOTO_PAGE     b"", page                 slot n -> (content id, view name); n is the photo's
                                         number in posting lists, in order of recording
PHOTO_PAGE     b"contents", page         slots (content id): every content with a record
VIEW_NAME      view name                 photo number
TAG            tag id                    name, merged-into, kept, slot (records.py)
TAG_PAGE       b"", page                 slots (tag id): every tag that was ever used
TAG_NAME       NFC casefold of the name  tag ids of that name, smallest first
WORD           file id                   what the user said of a file that has no content yet
                                         (waiting.py)
WORD_PAGE      list id, page             slots (file id): such files that a tag, a date or
                                         favourites/ lists
SHELF_PAGE     list, page                slots (file id): the trash (b""), comparisons that are due,
                                         former contents of a file (shelves.py)
NARROWING      path of tag ids           whether it is kept, stamp, slots (kept.py)
NARROWING      b"all", page              slots (path of tag ids): every kept narrowing
NARROWING      b"below:" + path, page    slots (path of tag ids): those one tag longer
QUERY          query text                whether it is kept, stamp, slots (kept.py)
QUERY          b"all", page              slots (query text): every kept query
POSTING        list id, block            roaring container of 2^16 photo numbers (postings.py)
POSTING_COUNT  list id                   how many photos the list has (postings.py)
LOCAL          content id or file id     where bytes lie on this machine (pipeline/local.py)
LOCAL          words, photo number       rescans, faces, persons, thresholds, sidecars (pipeline/)
ACT            act id [, number]         head of an act, and what each of its units did (undo.py)
ACT_PAGE       b"", page                 slots (act id): acts in the order in which they began
PLACE          path of a place           a byte: a photo was in it once (lists.py)
PLACE          path above, page          slots (name): countries, regions of one, towns of one
============== ========================= ==================================================

Invariants: a photo number is in the posting list ``@all`` exactly when the photo is listed (media,
and a live file has it); it is in the list of a tag exactly when the tag is in force on a listed
photo; it is in the lists of standing.py (by date, place, arrival, by what it is) exactly as its
``Standing`` says, and ``@parts:`` has a year, month or day exactly when a photo stands in it;
``NAME`` has a holder exactly for what ``FOLDER_PAGE`` lists.
"""

from __future__ import annotations

import enum

SCHEMA = 11
"""Bumped on every change of a value's form; a catalog with another number is rebuilt."""


class Table(enum.IntEnum):
    """Tables by number; the number is part of every key and stays."""

    META = 0
    FILE = 1
    FOLDER = 2
    FOLDER_PAGE = 3
    NAME = 4
    INODE = 5
    PHOTO = 6
    PHOTO_PAGE = 7
    VIEW_NAME = 8
    TAG = 9
    TAG_PAGE = 10
    TAG_NAME = 11
    WORD = 12
    SHELF_PAGE = 13
    NARROWING = 14
    QUERY = 15
    POSTING = 16
    POSTING_COUNT = 17
    LOCAL = 18
    WORD_PAGE = 19
    ACT = 20
    ACT_PAGE = 21
    PLACE = 22
