"""Which town, region and country a position lies in, from a table that tagfs ships; in the worker.

The table (``models/places.npz``, made by ``scripts/train/make_places.py`` from GeoNames, CC BY
4.0) has the towns of 1,000 inhabitants or more as points. There are no borders in it: a position
belongs to the region of the town that is nearest, where a town counts as nearer the more people
live in it, by the eighth root of their number; so a square in Rome is not in the Vatican. Within
the region it is named after the town whose edge is nearest: a town is taken as a disc of 5,000
inhabitants a square kilometre, and within several discs the deepest counts, so that a suburb does
not take a city's photos.
"""

from __future__ import annotations

import functools
import io
import zlib
from dataclasses import dataclass, replace
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity
from tagfs.model import Facts, Located, Place
from tagfs.recognise.taxonomy import shipped

STEP = 0.001
"""Degrees between two positions that the table tells apart: 111 m."""
SMALLEST = 500
"""Inhabitants of a town at least, as far as the rules go; of many seats none are known."""
STEPS_A_DOUBLING = 8
"""Numbers of inhabitants are kept by their logarithm, in steps of so many for each factor of 2."""
DENSITY = 5000.0
"""Inhabitants of a square kilometre of town."""
TOWN_KM, REGION_KM, COUNTRY_KM = 40.0, 80.0, 160.0
"""From the edge of the nearest town: how far away town, region and country are named."""
RADIUS_KM = 6371.0
MAX_TABLE = 16 * 1024 * 1024
_REACH = 2.0
"""Degrees of latitude on either side that are searched: farther than the largest disc reaches."""
_HEAVY = 1 / 8


@dataclass(frozen=True, slots=True)
class _Table:
    """The towns in order of latitude; one row each."""

    latitudes: NDArray[np.float32]  # degrees, ascending
    points: NDArray[np.float32]  # (towns, 3) on the unit sphere
    radii: NDArray[np.float32]  # km
    pull: NDArray[np.float32]  # the eighth root of the inhabitants
    regions: NDArray[np.uint16]
    names: NDArray[np.int32]  # index into ``towns``
    ends: NDArray[np.int32]  # of each name in ``towns``
    towns: NDArray[np.uint8]  # UTF-8, a line each
    region_names: tuple[str, ...]  # empty where there is none
    countries: tuple[str, ...]  # of each region


class Gazetteer:
    """Finds the names of positions. Make it with ``load``."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    def locate(self, place: Place | None) -> Located | None:
        """Return where a position is, as far as that can be said; None far from every town."""
        if place is None:
            return None
        table = self._table
        first, after = np.searchsorted(
            table.latitudes, (place.latitude - _REACH, place.latitude + _REACH)
        )
        if first == after:
            return None
        away = table.points[first:after] - _point(place)
        # Of the chord, which for so short ways differs from the arc by less than a metre.
        km = np.sqrt(np.einsum("ij,ij->i", away, away)) * np.float32(RADIUS_KM)
        nearest = int(np.argmin(km / table.pull[first:after]))
        edge = km - table.radii[first:after]
        region = int(table.regions[first + nearest])
        inside = np.flatnonzero(table.regions[first:after] == region)
        best = inside[np.argmin(edge[inside])]
        least = float(edge[best])
        if least > COUNTRY_KM:
            return None
        country = table.countries[region]
        name = table.region_names[region] or None
        if least > REGION_KM:
            return Located(country)
        if least > TOWN_KM:
            return Located(country, name)
        return Located(country, name, self._town(first + int(best)))

    def located(self, facts: Facts) -> Facts:
        """Add to what a file says where its position is."""
        where = self.locate(facts.place)
        return facts if where is None else replace(facts, located=where)

    def _town(self, row: int) -> str:
        index = int(self._table.names[row])
        start = int(self._table.ends[index - 1]) + 1 if index else 0
        return self._table.towns[start : int(self._table.ends[index])].tobytes().decode()


def _point(place: Place) -> NDArray[np.float32]:
    latitude, longitude = np.radians(place.latitude), np.radians(place.longitude)
    flat = np.cos(latitude)
    return np.array(
        (flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)), np.float32
    )


def load() -> Gazetteer:
    """Read the table that tagfs ships; raises Integrity when it is damaged."""
    data = shipped("places.npz").read_bytes()
    try:
        if len(data) > MAX_TABLE:
            raise ValueError("length")
        return Gazetteer(_read(data))
    except (ValueError, KeyError, OSError, IndexError, EOFError, BadZipFile, zlib.error) as e:
        raise Integrity(
            f"The table of places is damaged ({type(e).__name__}): install tagfs anew."
        ) from e


def _read(data: bytes) -> _Table:
    with np.load(io.BytesIO(data), allow_pickle=False) as raw:
        latitudes = np.cumsum(raw["latitude_steps"], dtype=np.int32)
        longitudes, inhabitants = raw["longitudes"], raw["inhabitants"]
        regions = np.repeat(
            np.arange(len(raw["towns_of_region"]), dtype=np.uint16), raw["towns_of_region"]
        )
        towns = raw["towns"]
        codes = _lines(raw["countries"])
        names = _lines(raw["regions"])
        countries = tuple(codes[i] for i in raw["country_of_region"])
    order = np.argsort(latitudes, kind="stable").astype(np.int32)
    phi = np.radians(latitudes[order].astype(np.float32) * np.float32(STEP))
    theta = np.radians(longitudes[order].astype(np.float32) * np.float32(STEP))
    flat = np.cos(phi)
    people = SMALLEST * np.exp2(inhabitants[order].astype(np.float32) / STEPS_A_DOUBLING)
    return _Table(
        latitudes[order].astype(np.float32) * np.float32(STEP),
        np.stack((flat * np.cos(theta), flat * np.sin(theta), np.sin(phi)), axis=1),
        np.sqrt(people / np.float32(np.pi * DENSITY)),
        people ** np.float32(_HEAVY),
        regions[order],
        order,
        np.flatnonzero(towns == ord("\n")).astype(np.int32),
        towns,
        names,
        countries,
    )


def _lines(text: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(text.tobytes().decode().split("\n")[:-1])


@functools.lru_cache(1)
def _country_names() -> dict[str, str]:
    text = shipped("countries.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())


def country_name(code: str) -> str:
    """Return the English name of an ISO 3166-1 country; the code itself for an unknown one."""
    return _country_names().get(code, code)
