"""The table of places: what positions are called, at borders, at sea and at the ends of the map."""

from __future__ import annotations

import functools
import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import Facts, Located, Place
from tagfs.recognise import gazetteer, taxonomy
from tagfs.recognise.gazetteer import Gazetteer, country_name
from tagfs.recognise.messages import pack_places, read_places
from tagfs.vault.facts import decode_facts, encode_facts

_load = functools.cache(gazetteer.load)


@pytest.fixture(scope="module")
def table() -> Gazetteer:
    return _load()


@pytest.mark.parametrize(
    ("latitude", "longitude", "where"),
    [
        (48.8584, 2.2945, Located("FR", "Île-de-France", "Paris")),
        (-33.8568, 151.2153, Located("AU", "New South Wales", "Sydney")),
        (-34.6037, -58.3816, Located("AR", "Buenos Aires F.D.", "Buenos Aires")),
        (41.899, 12.473, Located("IT", "Lazio", "Rome")),
        (1.29, 103.85, Located("SG", None, "Singapore")),
        (35.6586, 139.7454, Located("JP", "Tokyo", "Tokyo")),
        (78.22, 15.64, Located("SJ", "Svalbard", "Longyearbyen")),
        (-54.8019, -68.3030, Located("AR", "Tierra del Fuego", "Ushuaia")),
    ],
)
def test_a_position_in_a_city_is_called_after_it(
    table: Gazetteer, latitude: float, longitude: float, where: Located
) -> None:
    assert table.locate(Place(latitude, longitude)) == where


@pytest.mark.parametrize(
    ("latitude", "longitude", "town"),
    [
        (48.835, 2.24, "Paris"),  # Boulogne-Billancourt
        (48.8049, 2.1204, "Versailles"),
        (-33.797, 151.285, "Sydney"),  # Manly
        (37.8715, -122.273, "Berkeley"),
        (34.0195, -118.4912, "Santa Monica"),
        (40.628, 14.485, "Positano"),
    ],
)
def test_a_suburb_goes_to_its_city_and_a_town_of_its_own_does_not(
    table: Gazetteer, latitude: float, longitude: float, town: str
) -> None:
    where = table.locate(Place(latitude, longitude))
    assert where is not None
    assert where.town == town


@pytest.mark.parametrize(
    ("latitude", "longitude", "country"),
    [
        (48.58, 7.75, "FR"),  # Strasbourg, and across the Rhine
        (48.5727, 7.8152, "DE"),
        (46.2044, 6.1432, "CH"),  # Geneva, and its French neighbour
        (46.19, 6.23, "FR"),
        (43.7384, 7.4246, "MC"),
        (43.70, 7.26, "FR"),
        (41.9022, 12.4572, "VA"),  # Saint Peter's Square
        (22.3, 114.17, "HK"),
        (22.54, 114.06, "CN"),
        (43.083, -79.066, "US"),  # the two sides of Niagara Falls
        (43.0896, -79.0849, "CA"),
    ],
)
def test_a_large_city_does_not_reach_across_a_border(
    table: Gazetteer, latitude: float, longitude: float, country: str
) -> None:
    where = table.locate(Place(latitude, longitude))
    assert where is not None
    assert where.country == country


def test_either_side_of_the_antimeridian_is_the_same_island(table: Gazetteer) -> None:
    east, west = (table.locate(Place(-16.85, longitude)) for longitude in (179.99, -179.99))
    assert east == west == Located("FJ", "Northern")
    assert table.locate(Place(-16.85, 180.0)) == table.locate(Place(-16.85, -180.0)) == east


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(90.0, 0.0), (-90.0, 0.0), (30.0, -40.0), (0.1, 0.1), (-50.0, -110.0)],
)
def test_the_poles_and_the_open_ocean_have_no_name(
    table: Gazetteer, latitude: float, longitude: float
) -> None:
    assert table.locate(Place(latitude, longitude)) is None


def test_the_farther_from_every_town_the_less_is_said(table: Gazetteer) -> None:
    # Due west of Lagos in Portugal, out to sea: the town, its region, the country, nothing.
    told = [table.locate(Place(37.1, -8.68 - 0.1 * step)) for step in range(40)]
    depths = [
        0 if where is None else 1 + (where.region is not None) + (where.town is not None)
        for where in told
    ]
    assert depths[0] == 3
    assert depths[-1] == 0
    assert depths == sorted(depths, reverse=True)
    assert {*depths} == {0, 1, 2, 3}
    assert {where.country for where in told if where is not None} == {"PT"}


def test_a_file_without_a_position_has_no_place(table: Gazetteer) -> None:
    facts = Facts(width=1, date="2019-05-12T10:00:00")
    assert table.located(facts) == facts
    assert table.locate(None) is None


@settings(max_examples=300, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_position_has_an_answer_that_can_be_written_down(
    latitude: float, longitude: float
) -> None:
    where = _load().locate(Place(latitude, longitude))
    facts = Facts(located=where)
    assert decode_facts(encode_facts(facts)) == facts
    if where is not None:
        assert country_name(where.country) != where.country


def test_a_thousand_positions_are_looked_up_in_less_than_ten_milliseconds_each(
    table: Gazetteer,
) -> None:
    chance = np.random.default_rng(1)
    places = [
        Place(float(a), float(b))
        for a, b in zip(chance.uniform(-60, 70, 1000), chance.uniform(-180, 180, 1000), strict=True)
    ]
    began = time.thread_time()
    for place in places:
        table.locate(place)
    assert time.thread_time() - began < 10


def test_every_name_in_the_table_can_be_written_down() -> None:
    with np.load(io.BytesIO(taxonomy.shipped("places.npz").read_bytes())) as raw:
        towns = raw["towns"].tobytes().decode().split("\n")[:-1]
        regions = raw["regions"].tobytes().decode().split("\n")[:-1]
        codes = raw["countries"].tobytes().decode().split("\n")[:-1]
        assert len(towns) == len(raw["longitudes"]) == int(raw["towns_of_region"].sum())
    for name in {*towns, *regions} - {""}:
        assert 0 < len(name.encode()) <= 128
        assert name.isprintable()
    assert "" not in towns
    names = [country_name(code) for code in codes]
    assert len({*names}) == len(codes)
    assert all(name != code for name, code in zip(names, codes, strict=True))


def test_an_unknown_country_is_called_by_its_code() -> None:
    assert country_name("IT") == "Italy"
    assert country_name("XX") == "XX"


@pytest.mark.parametrize("damage", [b"", b"PK", b"x" * 1000, None])
def test_a_damaged_table_is_named(
    damage: bytes | None, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taxonomy.shipped("places.npz")
    path = tmp_path / "places.npz"  # type: ignore[operator]
    path.write_bytes(whole.read_bytes()[:-5000] if damage is None else damage)
    monkeypatch.setattr(gazetteer, "shipped", lambda name: path)
    with pytest.raises(Integrity, match="table of places is damaged"):
        gazetteer.load()


def test_positions_go_to_a_worker_and_come_out_as_they_went_in() -> None:
    places = [Place(48.8584, 2.2945), Place(-16.85, -180.0)]
    assert read_places(pack_places(places)) == places
