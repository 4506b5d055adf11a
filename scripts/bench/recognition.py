"""How fast and how large recognition is, and what an import does to who uses the mount meanwhile.

    python scripts/bench/recognition.py [--photos N] [--import N]

One JSON line a result. ``rate``: photos a second from their bytes to tags, facts, faces, embedding
and thumbnail, with one and two workers, of the packs that ``tagfs models install`` brings and of
all that are installed; ``parts`` is the time that decoding and each network take alone in one
process, summed, and ``share`` what a worker reaches of the rate that this sum would give.
``peak`` is the most memory of a worker.

``--import N`` mounts a gallery, copies N photos with changed pixels in, and asks ``stat`` of files
that are there until all are recognised: milliseconds in the median and of one in a hundred, and
the daemon's anonymous memory at each tenth of the way.

Photos are those of data/tagging-dev in the folder that TAGFS_TEST_DATA names (default: ``shared``
beside the repository), the models those of TAGFS_MODELS.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import trio
from PIL import Image

from tagfs.recognise import cascade, face_pack, packs, taxonomy
from tagfs.recognise.decode import decode, prepare, thumbnail
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.recogniser import Recogniser, recogniser
from tagfs.recognise.sniff import sniff

ROOT = Path(__file__).resolve().parents[2]
ASKED = 0.02
"""Seconds between two questions."""
PEER = [sys.executable, "-m", "tagfs.cli.main"]


def say(**figures: object) -> None:
    print(json.dumps({"bench": "recognition", **figures}), flush=True)


def originals() -> list[Path]:
    base = Path(os.environ.get("TAGFS_TEST_DATA") or ROOT.parent / "shared")
    found = sorted((base / "data/tagging-dev/photos").glob("coco_*"))
    if not found:
        sys.exit("data/tagging-dev is missing; set TAGFS_TEST_DATA to where it lies.")
    return found


def large(path: Path) -> bytes:
    """Return a real photo scaled up to 4032 x 3024, as a phone would write it."""
    out = io.BytesIO()
    with Image.open(path) as small:
        small.resize((4032, 3024)).save(out, "JPEG", quality=92)
    return out.getvalue()


# -- how fast --------------------------------------------------------------------------------------


async def rate(files: Sequence[bytes], jobs: int) -> tuple[float, int]:
    """Return photos a second, and the most kilobytes that a worker had."""
    async with recogniser(jobs=jobs, nice=0) as eyes:
        await asyncs(eyes, files[: 2 * jobs], jobs)  # every worker is there
        began = time.perf_counter()
        await asyncs(eyes, files, jobs)
        took = time.perf_counter() - began
        peaks = [peak(worker._process.pid, "VmHWM") for worker in eyes._all]
    return len(files) / took, max(peaks)


async def asyncs(eyes: Recogniser, files: Sequence[bytes], jobs: int) -> None:
    waiting = list(files)

    async def work() -> None:
        while waiting:
            data = waiting.pop()

            async def read(offset: int, size: int, data: bytes = data) -> bytes:
                return data[offset : offset + size]

            await eyes.recognise(read, len(data), sniff(data[:64]))

    async with trio.open_nursery() as nursery:
        for _ in range(jobs):
            nursery.start_soon(work)


def peak(pid: int, field: str) -> int:
    """Return a field of /proc/PID/status in kilobytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def parts(files: Sequence[bytes]) -> dict[str, float]:
    """Return the milliseconds a photo that each part takes alone, one after the other."""
    prepare()
    graph = taxonomy.load()
    eyes = [cascade.eye(pack.name, [packs.read_model(pack)], graph) for pack in packs.installed()]
    if face_pack.is_installed(face_pack.load()):
        eyes.append(cascade.eye(face_pack.NAME, face_pack.read_models(face_pack.load()), graph))
    eyes.sort(key=lambda each: (each.name != packs.DEFAULT, bool(each.gates)))
    took: dict[str, float] = defaultdict(float)
    for data in files:
        began = time.perf_counter()
        image = decode(data, sniff(data[:64])).image
        thumbnail(image)
        perceptual_hash(image)
        took["decoding"] += time.perf_counter() - began
        seen: dict[str, cascade.Look] = {}
        for each in eyes:
            if packs.is_open(each.gates, {name: look.votes for name, look in seen.items()}):
                began = time.perf_counter()
                seen |= each.look(image)
                took[each.name] += time.perf_counter() - began
    return {name: 1000 * seconds / len(files) for name, seconds in took.items()}


def fast(number: int) -> None:
    paths = originals()[:number]
    sets = {"640 pixels": [p.read_bytes() for p in paths], "12 megapixels": [large(paths[0])] * 20}
    installed = packs.models_dir()
    at_first = tuple(f"{name}-" for name in packs.AT_FIRST)
    for which in ("default packs", "all packs"):
        with tempfile.TemporaryDirectory() as folder:
            for path in installed.iterdir():
                if which == "all packs" or path.name.startswith(at_first):
                    (Path(folder) / path.name).symlink_to(path)
            os.environ["TAGFS_MODELS"] = folder
            for name, files in sets.items():
                alone = parts(files)
                total = sum(alone.values()) / 1000
                for jobs in (1, 2):
                    found, memory = trio.run(rate, files, jobs)
                    say(
                        packs=which,
                        photos=name,
                        workers=jobs,
                        rate=round(found, 2),
                        share=round(found * total / jobs, 2),
                        peak_mb=round(memory / 1024),
                        parts_ms={part: round(ms, 1) for part, ms in alone.items()},
                    )
    os.environ["TAGFS_MODELS"] = str(installed)


# -- an import -------------------------------------------------------------------------------------


def changed(path: Path, seed: int) -> bytes:
    """Return a photo with pixels of its own."""
    out = io.BytesIO()
    with Image.open(path) as image:
        copy = image.convert("RGB")
        copy.putpixel((seed % copy.width, seed // copy.width % copy.height), (seed % 256, 9, 9))
        copy.save(out, "JPEG", quality=80)
    return out.getvalue()


def imported(number: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tagfs-bench-"))
    mount = folder / "Gallery"
    (folder / "pp").write_text("a passphrase for a bench\n")
    env = os.environ | {
        name: str(folder / name)
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TAGFS_STATE_DIR")
    }
    command = [*PEER, "mount", str(mount), "--passphrase-file", str(folder / "pp"), "--json"]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    pid = int(json.loads(told.stdout)["pid"])
    try:
        watched(mount, pid, number, env)
    finally:
        subprocess.run([*PEER, "umount", str(mount)], env=env, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def watched(mount: Path, pid: int, number: int, env: dict[str, str]) -> None:
    paths, chance = originals(), random.Random(3)
    (mount / "in").mkdir()
    began = time.perf_counter()
    for i in range(number):
        (mount / f"in/{i:05}.jpg").write_bytes(changed(paths[i % len(paths)], i))
    copied = time.perf_counter() - began
    status = [*PEER, "status", str(mount), "--json"]
    asked: list[float] = []
    memory: dict[int, int] = {}
    left = number
    while left:
        until = time.perf_counter() + 10
        while time.perf_counter() < until:
            at = time.perf_counter()
            os.stat(mount / f"in/{chance.randrange(number):05}.jpg")
            asked.append(1000 * (time.perf_counter() - at))
            time.sleep(ASKED)
        answer = subprocess.run(status, env=env, capture_output=True, text=True, check=True)
        left = json.loads(answer.stdout)["queue"]["sealed"]
        memory.setdefault(10 * (number - left) // number, peak(pid, "RssAnon") // 1024)
    took = time.perf_counter() - began
    asked.sort()
    say(
        imported=number,
        copied_seconds=round(copied),
        seconds=round(took),
        rate=round(number / took, 2),
        stat_ms_median=round(statistics.median(asked), 2),
        stat_ms_p99=round(asked[int(len(asked) * 0.99)], 2),
        daemon_anonymous_mb_by_tenth=memory,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=100, help="photos for the rates")
    parser.add_argument("--import", dest="number", type=int, help="measure an import, too")
    given = parser.parse_args()
    if given.photos:
        fast(given.photos)
    if given.number:
        imported(given.number)


if __name__ == "__main__":
    main()
