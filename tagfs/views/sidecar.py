"""XMP sidecars: tags, date and rating of a photo as other programs read them.

``dc:subject`` is what every program reads; ``lr:hierarchicalSubject`` and ``digiKam:TagsList``
say which tag stands below which. Persons are ``Iptc4xmpExt:PersonInImage`` (IPTC Photo Metadata)
and stand below "People". Follows the XMP specification, part 1 (ISO 16684-1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.state import State
from tagfs.model import TagId, is_person
from tagfs.pipeline.person_ids import is_nameless
from tagfs.vault.ops import Field

_HEAD = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="tagfs">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
"""
_TAIL = """  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def sidecar(state: State, photo: PhotoRecord) -> bytes | None:
    """Return the sidecar of a photo, None when there is nothing to say of it."""
    ways = sorted(tuple(map(state.photos.tag_name, way)) for way in _ways(state, photo))
    names = sorted(state.photos.tag_name(tag) for tag in photo.tags if not is_person(tag))
    known = sorted(state.photos.tag_name(tag) for tag in photo.tags if is_person(tag))
    people = [name for name in known if not is_nameless(name)]
    date: str | None = photo.regs.get(Field.DATE)
    rating: int | None = photo.regs.get(Field.RATING)
    if not names and not people and date is None and rating is None:
        return None
    return xmp(names, ways, date, rating, people)


def _ways(state: State, photo: PhotoRecord) -> Iterable[tuple[TagId, ...]]:
    """Yield, for each tag with nothing below it, the tags from the top down to it.

    A concept may have several above it; the way goes through the first that the photo has.
    """
    present = {tag for tag in photo.tags if not is_person(tag)}
    above = {tag: state.photos.above(tag) & present for tag in present}
    inner = {tag for tags in above.values() for tag in tags}
    for tag in present - inner:
        # Of those above, one with more above itself stands lower.
        line = sorted(above[tag], key=lambda t: (len(above[t]), t))
        way: list[TagId] = []
        for step in line:
            if not way or way[-1] in above[step]:
                way.append(step)
        yield (*way, tag)


def xmp(
    names: Sequence[str],
    ways: Sequence[Sequence[str]],
    date: str | None = None,
    rating: int | None = None,
    people: Sequence[str] = (),
) -> bytes:
    """Return an XMP packet.

    ``ways`` are tags from the top down, ``date`` is of 4, 7 or 10 characters, ``rating`` is in
    half stars.
    """
    parts = [_HEAD]
    if names:
        parts.append(_listed("dc:subject", "Bag", names))
    if people:
        parts.append(_listed("Iptc4xmpExt:PersonInImage", "Bag", people))
        ways = [*ways, *(("People", name) for name in people)]
    if ways:
        parts.append(_listed("lr:hierarchicalSubject", "Bag", map("|".join, ways)))
        parts.append(_listed("digiKam:TagsList", "Seq", map("/".join, ways)))
    if date is not None:
        parts.append(f"   <photoshop:DateCreated>{_text(date)}</photoshop:DateCreated>\n")
    if rating is not None:
        parts.append(f"   <xmp:Rating>{rating / 2:g}</xmp:Rating>\n")
    return "".join([*parts, _TAIL]).encode()


def _listed(name: str, kind: str, items: Iterable[str]) -> str:
    lines = "".join(f"     <rdf:li>{_text(item)}</rdf:li>\n" for item in items)
    return f"   <{name}>\n    <rdf:{kind}>\n{lines}    </rdf:{kind}>\n   </{name}>\n"


def _text(text: str) -> str:
    """Return text as XML takes it: what XML has no character for becomes U+FFFD."""
    return escape("".join(c if _is_xml(ord(c)) else "\ufffd" for c in text))


def _is_xml(code: int) -> bool:
    return code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF
