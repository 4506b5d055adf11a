"""Take photos that anybody may use out of scikit-image's wheel: demo_pictures.py WHEEL FOLDER.

Only the files named here are taken; scikit-image documents the terms of each in
``skimage/data/_fetchers.py``.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PICTURES = {
    # file in the wheel: (where it goes, whose it is and on what terms)
    "chelsea.png": ("Home/Chelsea.png", "Stefan van der Walt, CC0"),
    "coffee.png": ("Home/Espresso.png", "Rachel Michetti, Pikolo Espresso Bar, CC0"),
    "clock_motion.png": ("Home/Clock.png", "Stefan van der Walt, public domain"),
    "rocket.jpg": ("Space/Falcon 9.jpg", "SpaceX, public domain"),
    "astronaut.png": ("Space/Eileen Collins.png", "NASA, public domain"),
    "hubble_deep_field.jpg": ("Space/Deep field.jpg", "NASA, public domain"),
}
LARGEST = 2 * 1024 * 1024  # bytes; each of them is well below


def main() -> int:
    """Write the pictures below a folder and print one line for each."""
    wheel, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with zipfile.ZipFile(wheel) as archive:
        for source, (target, terms) in PICTURES.items():
            with archive.open(f"skimage/data/{source}") as file:
                data = file.read(LARGEST)
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"   {target}: {terms}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
