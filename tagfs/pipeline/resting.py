"""When recognition rests: while the user wants it to, and while the machine runs on its battery."""

from __future__ import annotations

from pathlib import Path

import trio

from tagfs.pipeline.pausing import Pausable

SUPPLIES = Path("/sys/class/power_supply")
"""Where Linux tells what feeds the machine (Documentation/ABI/testing/sysfs-class-power)."""
GLANCE = 30.0
"""Seconds after which the battery is looked at again."""


class Rest(Pausable):
    """Whether photos are looked at now. For trio's thread."""

    def __init__(self, flag: Path, supplies: Path = SUPPLIES) -> None:
        """``flag`` says that it rests, as Pausable has it; ``supplies`` is where batteries tell."""
        super().__init__(flag)
        self._supplies = supplies
        self.heeds_battery = True
        """Whether a machine that runs on its battery is spared."""

    def why(self) -> str | None:
        """Return why recognition rests, None when it does not."""
        if self.paused:
            return "rests; `tagfs resume --recognition` lets it go on"
        if self.heeds_battery and on_battery(self._supplies):
            return "rests while this machine runs on its battery"
        return None

    async def wait_over(self) -> None:
        """Return when photos may be looked at."""
        while self.paused or (self.heeds_battery and on_battery(self._supplies)):
            await self.until_awake()
            if self.heeds_battery and on_battery(self._supplies):
                await trio.sleep(GLANCE)


def on_battery(supplies: Path = SUPPLIES) -> bool:
    """Whether a battery of this machine is being used up, and nothing else feeds it.

    Batteries of mice and keyboards (scope ``Device``) say nothing of the machine.
    """
    discharging = False
    for supply in sorted(supplies.glob("*")):
        kind = _said(supply, "type")
        if kind == "Battery":
            mine = _said(supply, "scope") != "Device"
            discharging |= mine and _said(supply, "status") == "Discharging"
        elif _said(supply, "online") == "1":
            return False
    return discharging


def _said(supply: Path, name: str) -> str:
    try:
        with (supply / name).open(encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    except OSError:
        return ""
