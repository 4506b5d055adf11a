"""``places/``: photos by where they were taken, and what copying, moving, removing there mean."""

from __future__ import annotations

import errno
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import WithPlaces
from gallery_kit import make
from view_kit import SECRET, Folder, opened, photo, refused, removed

from tagfs.catalog.view_names import Shown
from tagfs.cli.tagging import _reasons
from tagfs.model import Analysis, Facts, Located, Place
from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url
from tagfs.views.search import search
from tagfs.views.why import why

ROME, MILAN, PARIS, LYON = (41.899, 12.473), (45.4642, 9.19), (48.8584, 2.2945), (45.76, 4.84)
SAHARA, ATLANTIC = (23.0, 5.0), (30.0, -40.0)


def run(
    tmp_path: Path,
    script: Callable[[Folder], Awaitable[None]],
    recogniser: type[WithPlaces] = WithPlaces,
) -> None:
    """Run a script on a new gallery whose recogniser knows places."""

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=recogniser()) as folder:
            await script(folder)

    trio.run(main)


async def three(g: Folder) -> None:
    """Write a photo of Rome, one of Paris and one of nowhere."""
    g.mkdir("a")
    await g.write("a/rome.jpg", photo(1, position=ROME))
    await g.write("a/paris.jpg", photo(2, position=PARIS))
    await g.write("a/none.jpg", photo(3))
    assert await g.gallery.wait("recognised", 20)


def test_photos_stand_in_the_town_where_they_were_taken(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert g.names("places") == ["France", "Italy"]
        assert g.names("places/Italy") == ["Lazio"]
        assert g.names("places/Italy/Lazio") == ["Rome"]
        assert g.names("places/Italy/Lazio/Rome") == ["rome.jpg"]
        assert g.names("places/France/Île-de-France/Paris") == ["paris.jpg"]
        assert g.ino("places/Italy/Lazio/Rome/rome.jpg") == g.ino("a/rome.jpg")
        assert await g.read("places/Italy/Lazio/Rome/rome.jpg") == photo(1, position=ROME)
        for path in ("places/Spain", "places/Italy/Paris", "places/IT", "places/Italy/none.jpg"):
            with refused(errno.ENOENT):
                g.ino(path)

    run(tmp_path, script)


def test_far_from_every_town_a_photo_stands_in_the_region_the_country_or_nowhere(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/dune.jpg", photo(1, position=SAHARA))
        await g.write("all/sea.jpg", photo(2, position=ATLANTIC))
        await g.write("all/zero.jpg", photo(3, position=(0.0, 0.0)))
        assert await g.gallery.wait("recognised", 20)
        assert g.names("places") == ["Algeria"]
        assert g.names("places/Algeria/Tamanrasset") == ["dune.jpg"]

    run(tmp_path, script)


class Borders(WithPlaces):
    """Knows no more than the country of what was taken in Paris, and one odd name."""

    async def recognise(self, *arguments: object) -> Analysis:
        found = await super().recognise(*arguments)  # type: ignore[arg-type]
        return Analysis(
            found.pack,
            found.media_type,
            found.tags,
            found.scores,
            Facts(place=found.facts.place, located=self._of(found.facts.place)),
            b"",
            b"",
        )

    @staticmethod
    def _of(place: Place | None) -> Located | None:
        if place is None:
            return None
        if place.latitude == PARIS[0]:
            return Located("FR")
        return Located("FR", "A/B", ".hidden") if place.latitude < 42 else Located("FR", "A/B")


def test_names_of_places_become_names_of_folders_and_photos_stand_beside_them(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/A%2FB", photo(1, position=PARIS))
        await g.write("all/region.jpg", photo(2, position=LYON))
        await g.write("all/town.jpg", photo(3, position=ROME))
        assert await g.gallery.wait("recognised", 20)
        folder, suffixed = g.names("places/France")
        assert folder == "A%2FB"
        assert suffixed.startswith("A%2FB~")
        assert g.ino(f"places/France/{suffixed}") == g.ino("all/A%2FB")
        assert g.names("places/France/A%2FB") == ["%2Ehidden", "region.jpg"]
        assert g.names("places/France/A%2FB/%2Ehidden") == ["town.jpg"]
        assert g.names("places/France/%2Ehidden") == ["town.jpg"]

    run(tmp_path, script, Borders)


def test_a_town_is_found_below_its_country_without_its_region_and_not_listed_there(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert g.names("places/Italy/Rome") == ["rome.jpg"]
        assert g.ino("places/Italy/Rome/rome.jpg") == g.ino("a/rome.jpg")
        assert g.ino("places/Italy/Rome") != g.ino("places/Italy/Lazio/Rome")
        assert g.tree.parent(g.ino("places/Italy/Rome")) == g.ino("places/Italy")
        g.rm("places/Italy/Rome/rome.jpg")
        assert g.names("trash") == ["rome.jpg"]
        assert g.names("places") == ["France"]

    run(tmp_path, script)


def test_nothing_is_put_into_places_and_no_folder_is_made_or_renamed_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        for path in ("places", "places/Italy", "places/Italy/Lazio/Rome", "places/Italy/Rome"):
            with refused(errno.EPERM):
                await g.write(f"{path}/x.jpg", photo(4))
            with refused(errno.EPERM):
                g.mv("a/none.jpg", f"{path}/none.jpg")
            with refused(errno.EPERM):
                g.mkdir(f"{path}/Atlantis")
        with refused(errno.EPERM):
            g.mv("places/Italy/Lazio/Rome/rome.jpg", "places/France/Île-de-France/Paris/rome.jpg")
        with refused(errno.EPERM):
            g.mv("places/Italy", "places/Italia")
        assert g.names("a") == ["none.jpg", "paris.jpg", "rome.jpg"]
        assert g.names("trash") == []

    run(tmp_path, script)


def test_a_photo_is_moved_out_of_places_and_renamed_there_without_leaving_its_folder(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        g.mv("places/Italy/Lazio/Rome/rome.jpg", "places/Italy/Lazio/Rome/forum.jpg")
        assert g.names("places/Italy/Lazio/Rome") == ["forum.jpg"]
        g.mv("places/Italy/Lazio/Rome/forum.jpg", "favourites/forum.jpg")
        assert g.names("favourites") == g.names("places/Italy/Lazio/Rome") == ["forum.jpg"]
        assert g.names("a") == ["none.jpg", "paris.jpg", "rome.jpg"]

    run(tmp_path, script)


def test_removing_a_country_recursively_puts_its_photos_into_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        await g.write("a/twin.jpg", photo(1, position=ROME))
        await g.write("a/milan.jpg", photo(4, position=MILAN))
        assert await g.gallery.wait("recognised", 20)
        with refused(errno.ENOTEMPTY):
            g.rmdir("places/Italy/Lazio")
        with refused(errno.ENOTDIR):
            g.rmdir("places/Italy/Lazio/Rome/rome.jpg")
        removed(g, "places/Italy")
        assert g.names("places") == ["France"]
        assert g.names("trash") == ["milan.jpg", "rome.jpg", "twin.jpg"]
        g.mv("trash/rome.jpg", "a/rome.jpg")
        assert g.names("places/Italy") == ["Lazio"]
        assert g.names("places/Italy/Lazio/Rome") == ["rome.jpg"]

    run(tmp_path, script)


def test_searching_a_place_finds_country_region_and_town_without_accents(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        await g.write("a/milan.jpg", photo(4, position=MILAN))
        assert await g.gallery.wait("recognised", 20)
        assert g.names("search/place:italy") == ["milan.jpg", "rome.jpg"]
        assert g.names("search/place:IT") == ["milan.jpg", "rome.jpg"]
        assert g.names("search/place:lazio") == g.names("search/place:Rome") == ["rome.jpg"]
        assert g.names("search/place:ile-de-france") == ["paris.jpg"]
        assert g.names("search/dog place:Italy -place:Rome") == ["milan.jpg"]
        assert g.names("search/place:Atlantis") == []
        assert "Atlantis" in g.gallery.ledger.events()[-1]["text"]

    run(tmp_path, script)


def test_search_and_why_tell_where_a_photo_was_taken(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        await g.write("a/sea.jpg", photo(4, position=ATLANTIC))
        assert await g.gallery.wait("recognised", 20)
        told = {hit.name: hit.as_json()["place"] for hit in search(g.gallery.state, "dog").hits}
        rome = {
            "latitude": 41.899,
            "longitude": 12.473,
            "country": "Italy",
            "region": "Lazio",
            "town": "Rome",
        }
        nowhere = {"latitude": 30.0, "longitude": -40.0}
        nowhere |= dict.fromkeys(("country", "region", "town"))
        assert told["rome.jpg"] == rome
        assert told["sea.jpg"] == nowhere
        assert told["none.jpg"] is None
        reasons = await why(g.gallery.state, g.gallery.contents, g.tree.at(b"a/rome.jpg"))
        assert reasons.as_json()["place"] == rome
        lines = [_reasons(await told_of(g, name)) for name in ("rome", "sea", "none")]
        assert "  Taken at 41.899, 12.473: Rome, Lazio, Italy." in lines[0].splitlines()
        assert "  Taken at 30.0, -40.0: no town is near." in lines[1].splitlines()
        assert "Taken" not in lines[2]

    run(tmp_path, script)


async def told_of(g: Folder, name: str) -> dict[str, object]:
    file = g.tree.at(f"a/{name}.jpg".encode())
    return (await why(g.gallery.state, g.gallery.contents, file)).as_json()


def test_places_come_back_with_the_vault(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert await g.gallery.wait("stored", 30)

    run(tmp_path, script)

    async def again() -> None:
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, state="other") as g:
            assert g.names("places") == ["France", "Italy"]
            assert g.names("places/Italy/Lazio/Rome") == ["rome.jpg"]

    trio.run(again)


def test_a_town_is_listed_without_looking_at_photos_of_other_towns(tmp_path: Path) -> None:
    looked: list[int] = []

    async def script(g: Folder) -> None:
        g.mkdir("a")
        for i in range(8):
            await g.write(f"a/{i}.jpg", photo(i, position=PARIS if i else ROME))
        assert await g.gallery.wait("recognised", 20)
        names = g.gallery.state.photos.names
        shown = names.shown

        def counting(number: int) -> Shown | None:
            looked.append(number)
            return shown(number)

        names.shown = counting  # type: ignore[method-assign]
        assert g.names("places/Italy/Lazio/Rome") == ["0.jpg"]
        assert len(looked) == 1

    run(tmp_path, script)
