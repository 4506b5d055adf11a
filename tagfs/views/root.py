"""The views that the root lists beside the user's own folders, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable

from tagfs.pipeline.gallery import Gallery
from tagfs.views.dates import Dates
from tagfs.views.everything import Everything
from tagfs.views.favourites import Favourites
from tagfs.views.nodes import View
from tagfs.views.people import People
from tagfs.views.places import Places
from tagfs.views.recent import Recent
from tagfs.views.review import Review
from tagfs.views.searching import Search
from tagfs.views.tags import Tags
from tagfs.views.trash import Trash
from tagfs.views.untagged import Untagged


def views_of(gallery: Gallery, monotonic: Callable[[], float] = time.monotonic) -> list[View]:
    """Make every view of a gallery; what is added here is all that a new one needs."""
    state, ledger, keeps = gallery.state, gallery.ledger, gallery.files.keeps
    return [
        Everything(state, ledger.now_ms, keeps),
        Tags(state, ledger.name_tag, monotonic),
        People(state, ledger.name_person, monotonic),
        Places(state, ledger.now_ms, keeps),
        Dates(state, ledger.now_ms, keeps),
        Recent(state, ledger.now_ms, keeps),
        Untagged(state, ledger.now_ms, keeps),
        Favourites(state),
        Review(state, ledger.now_ms, keeps, lambda: gallery.persons.doubts),
        Search(state, ledger.event),
        Trash(state, ledger.now_ms, keeps),
    ]
