"""Xfce's thumbnailer takes what .sh_thumbnails/ has, and fetches and keeps nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from apps_kit import Gallery, need, run, why_no_mounts
from colours import photo

pytestmark = pytest.mark.mount

SERVICE = "org.freedesktop.thumbnails.Thumbnailer1"
PLACE = "/org/freedesktop/thumbnails/Thumbnailer1"
AS_GLIB = "!$&'()*+,-./:=@_~"
"""Characters that GLib leaves as they are in the URI of a file."""
SERVICE_FILE = Path("/usr/share/dbus-1/services/org.xfce.Tumbler.Thumbnailer1.service")

ASK = """
dbus-monitor --session "interface='{service}'" & watcher=$!
gdbus call --session --dest {service} --object-path {place} --method {service}.Queue \\
    {uris} {types} {size} foreground 0
for i in $(seq 300); do
    grep -q member=Finished {heard} && break
    sleep 0.1
done
kill $watcher
"""


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Gallery]:
    """A gallery whose remote is no folder of this machine."""
    if why := why_no_mounts():
        pytest.skip(why)
    gallery = Gallery(tmp_path, "--far")
    try:
        gallery.mount()
        yield gallery
        gallery.unmount()
    finally:
        gallery.kill()


def tumbler(home: Path, paths: list[Path], size: str) -> str:
    """Ask Tumbler for thumbnails in a session of its own; return what it said."""
    heard = home / f"heard-{size}"
    uris = "[" + ", ".join(f"'file://{quote(str(p), safe=AS_GLIB)}'" for p in paths) + "]"
    types = "[" + ", ".join("'image/jpeg'" for _ in paths) + "]"
    script = ASK.format(
        service=SERVICE,
        place=PLACE,
        uris=shlex.quote(uris),
        types=shlex.quote(types),
        size=size,
        heard=shlex.quote(str(heard)),
    )
    inner = f"({script}) > {shlex.quote(str(heard))} 2>&1"
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_RUNTIME_DIR": str(home)}
    run("dbus-run-session", "--", "sh", "-c", inner, env=own)
    return heard.read_text()


def kept(home: Path) -> list[Path]:
    """Return the thumbnails that Tumbler made and keeps."""
    return list((home / "cache" / "thumbnails").rglob("*.png"))


def test_tumbler_takes_thumbnails_of_absent_photos_and_fetches_none(
    far: Gallery, tmp_path: Path
) -> None:
    need("dbus-run-session", "dbus-monitor", "gdbus")
    if not SERVICE_FILE.exists():
        pytest.skip("Tumbler is not installed: what it reads of a gallery is not tested")
    folder = far.path / "2019"
    folder.mkdir()
    paths = [folder / f"IMG ({i}).jpg" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(photo(900 + i))
        os.utime(path, ns=(5, 1_700_000_000_123_456_789 + i * 10**9))
    far.recognised()
    assert far.say("wait stored")
    far.unmount()
    shutil.rmtree(tmp_path / "state" / "cache")
    far.mount()
    home = tmp_path / "home"
    home.mkdir()
    for size in ("normal", "large"):
        said = tumbler(home, paths, size)
        assert all(quote(path.name, safe=AS_GLIB) in said for path in paths), said
        assert "Ready" in said, said
        assert "Error" not in said, said
        assert kept(home) == []
    assert far.say("gets") <= 2  # packs of thumbnails, and no photo
    (outside := tmp_path / "outside.jpg").write_bytes(photo(910))
    tumbler(home, [outside], "normal")
    assert len(kept(home)) == 1, "it keeps the thumbnails that it makes itself"
