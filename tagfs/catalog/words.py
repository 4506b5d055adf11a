"""What the user said of the tags of one photo, against what was seen. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tagfs.model import Stamp, TagId, Word


def tags_in_force(
    seen: Iterable[TagId],
    words: Mapping[TagId, tuple[Word, Stamp]],
    above: Callable[[TagId], frozenset[TagId]],
) -> set[TagId]:
    """Return the tags of a photo: what was seen, corrected by what the user said.

    *Yes* brings a tag and its ancestors. *No* takes a tag and everything below it, and what the
    user affirmed of that before; what is affirmed later than that *no* stays.
    """
    affirmed, denied = standing_words(words, above)
    result = set(seen)
    for tag in affirmed:
        result |= {tag} | above(tag)
    return {t for t in result if not _denied(t, above(t), denied, _affirmed(t, affirmed, above))}


def standing_words(
    words: Mapping[TagId, tuple[Word, Stamp]], above: Callable[[TagId], frozenset[TagId]]
) -> tuple[dict[TagId, Stamp], dict[TagId, Stamp]]:
    """Return what the user affirmed, without what a later *no* took back, and what was denied."""
    denied = {t: stamp for t, (word, stamp) in words.items() if word is Word.NO}
    affirmed = {
        t: stamp
        for t, (word, stamp) in words.items()
        if word is Word.YES and not _denied(t, above(t), denied, stamp)
    }
    return affirmed, denied


def _affirmed(
    tag: TagId, affirmed: Mapping[TagId, Stamp], above: Callable[[TagId], frozenset[TagId]]
) -> Stamp | None:
    """Return when the user last affirmed a tag or something below it."""
    stamps = [s for t, s in affirmed.items() if t == tag or tag in above(t)]
    return max(stamps, default=None)


def _denied(
    tag: TagId, ancestors: frozenset[TagId], denied: Mapping[TagId, Stamp], affirmed: Stamp | None
) -> bool:
    return any(
        (t == tag or t in ancestors) and (affirmed is None or affirmed < stamp)
        for t, stamp in denied.items()
    )
