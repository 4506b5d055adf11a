"""Faces that other programs marked in an XMP packet: whose, and where; runs in the worker.

Regions of the Metadata Working Group (Guidelines for Handling Image Metadata 2.0, 5.9), else those
of Microsoft Photo 1.2. Both measure the picture as it is stored; a few programs turn it upright
first and say so by the dimensions that they applied it to.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sides."""

MOST = 64
"""Faces of one picture that are believed."""
_NUMBER = re.compile(r"(?=\.?\d)\d{0,3}(?:\.\d{1,20})?(?:[eE]-\d{1,2})?")
_UPRIGHT: dict[int, Callable[[float, float], tuple[float, float]]] = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""By EXIF orientation: where a point of the stored picture is in the upright one."""


def regions(
    packet: str, orientation: int | None, size: tuple[int, int] | None
) -> Iterator[tuple[str, Box]]:
    """Yield name and upright box of every marked face that has both.

    ``size`` are the pixels of the upright picture, ``orientation`` is EXIF 1..8.
    """
    marked = _items(packet, "mwg-rs:RegionList")
    found = [_of_mwg(item) for item in marked] if marked else []
    stored = not (size and (orientation or 1) > 4 and _applied(packet) == size != size[::-1])
    if not any(found):
        found, stored = [_of_microsoft(item) for item in _items(packet, "MPRI:Regions")], True
    turn = _UPRIGHT.get(orientation or 1) if stored else None
    for name, box in filter(None, found):
        yield name, _turned(box, turn) if turn else box


def _items(packet: str, name: str) -> list[str]:
    """Return the items of the bag in a property."""
    _, begins, rest = packet.partition(f"<{name}")
    return re.split(r"<rdf:li\b", rest.partition(f"</{name}")[0])[1 : MOST + 1] if begins else []


def _of_mwg(item: str) -> tuple[str, Box] | None:
    if _value(item, "mwg-rs:Type") != "Face":
        return None
    if _value(item, "stArea:unit") not in ("", "normalized"):
        return None
    x, y, w, h = (_number(_value(item, f"stArea:{side}")) for side in "xywh")
    return _named(_value(item, "mwg-rs:Name"), x - w / 2, y - h / 2, w, h)


def _of_microsoft(item: str) -> tuple[str, Box] | None:
    numbers = [_number(text) for text in _value(item, "MPReg:Rectangle").split(",")]
    if len(numbers) != 4:
        return None
    return _named(_value(item, "MPReg:PersonDisplayName"), *numbers)


def _named(
    name: str, left: float, top: float, width: float, height: float
) -> tuple[str, Box] | None:
    right, bottom = left + width, top + height
    if not name or not (left < right and top < bottom):  # also for what is no number
        return None
    sides = (max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom))
    return (name, sides) if sides[0] < sides[2] and sides[1] < sides[3] else None


def _value(text: str, name: str) -> str:
    """Return a property, as attribute or as element."""
    match = re.search(
        rf"{re.escape(name)}(?:=\"([^\"<]{{1,400}})\"|='([^'<]{{1,400}})'|>([^<]{{1,400}})<)", text
    )
    return html.unescape(next(filter(None, match.groups()))).strip() if match else ""


def _number(text: str) -> float:
    text = text.strip()
    return float(text) if text and _NUMBER.fullmatch(text) else float("nan")


def _applied(packet: str) -> tuple[int, int] | None:
    sides = [_value(packet, f"stDim:{side}") for side in "wh"]
    if not all(re.fullmatch(r"\d{1,9}", side) for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _turned(box: Box, turn: Callable[[float, float], tuple[float, float]]) -> Box:
    (x0, y0), (x1, y1) = turn(*box[:2]), turn(*box[2:])
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
