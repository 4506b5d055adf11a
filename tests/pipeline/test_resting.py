"""Recognition rests on demand and on battery, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from colours import ByColour, picture
from gallery_kit import make, opened

from tagfs.pipeline.resting import GLANCE, Rest, on_battery

MAINS = {"type": "Mains", "online": "1"}
UNPLUGGED = {"type": "Mains", "online": "0"}
DISCHARGING = {"type": "Battery", "status": "Discharging"}
CHARGING = {"type": "Battery", "status": "Charging"}
MOUSE = {"type": "Battery", "scope": "Device", "status": "Discharging"}


def feed(folder: Path, *supplies: dict[str, str]) -> Path:
    for number, supply in enumerate(supplies):
        place = folder / f"supply{number}"
        place.mkdir(parents=True, exist_ok=True)
        for name, value in supply.items():
            (place / name).write_text(value + "\n")
    return folder


@pytest.mark.parametrize(
    ("supplies", "spared"),
    [
        ((), False),
        ((MAINS,), False),
        ((UNPLUGGED, DISCHARGING), True),
        ((DISCHARGING,), True),
        ((MAINS, CHARGING), False),
        ((MAINS, DISCHARGING), False),  # a weak charger
        ((MOUSE,), False),
        ((UNPLUGGED, CHARGING), False),
    ],
    ids=["a server", "mains", "on the road", "a tablet", "plugged in", "weak", "a mouse", "odd"],
)
def test_a_machine_on_its_battery_is_told_from_others(
    supplies: tuple[dict[str, str], ...], spared: bool, tmp_path: Path
) -> None:
    assert on_battery(feed(tmp_path, *supplies)) is spared


def test_a_rest_ends_when_the_plug_is_in_or_when_the_battery_does_not_matter(
    tmp_path: Path,
) -> None:
    supplies = feed(tmp_path / "supplies", UNPLUGGED, DISCHARGING)
    rest = Rest(tmp_path / "flag", supplies)

    async def main() -> None:
        over = trio.Event()

        async def wait() -> None:
            await rest.wait_over()
            over.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(10 * GLANCE)
            assert not over.is_set()
            assert "battery" in (rest.why() or "")
            feed(supplies, MAINS, CHARGING)
            await trio.sleep(2 * GLANCE)
            assert over.is_set()
            assert rest.why() is None
        feed(supplies, UNPLUGGED, DISCHARGING)
        rest.heeds_battery = False
        await rest.wait_over()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_photos_wait_while_recognition_rests_also_over_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await g.gallery.looker.rest.pause()
            await g.write("dog.png", picture(200))
            assert not await g.gallery.wait("recognised", 1)
            assert g.names("all") == ["dog.png"]
            assert "dog" not in g.names("tags")
        async with opened(tmp_path, recogniser=ByColour()) as g:
            assert g.gallery.looker.rest.paused
            assert not await g.gallery.wait("recognised", 1)
            assert "resume --recognition" in str(g.gallery.report()["recognition"])
            await g.gallery.looker.rest.resume()
            assert await g.gallery.wait("recognised", 20)
            assert g.names("tags/dog") == ["dog.png"]
            assert g.gallery.report()["recognition"] == "works"

    trio.run(main)
