"""An open gallery and what can be asked of it: the same calls for the daemon and without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from tagfs.errors import Integrity, Usage
from tagfs.mount import keeping, persons, rescanning, tagging, taking_back
from tagfs.mount.messages import Call, Progress
from tagfs.pipeline.collecting import collect
from tagfs.pipeline.exporting import export
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.importing import import_paths
from tagfs.pipeline.inner_checkup import look_inside
from tagfs.pipeline.line import Line
from tagfs.pipeline.opening import open_gallery
from tagfs.pipeline.putting_back import put_back
from tagfs.pipeline.resting import Rest
from tagfs.pipeline.state_dir import StateDir, write_file
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.recogniser import NICE, Recogniser, recogniser
from tagfs.remote.url import open_store
from tagfs.vault.slots import Passphrase, Secret, Words
from tagfs.views import exports
from tagfs.views.search import search
from tagfs.views.tree import Tree

Keep = Callable[[Gallery, Tree, Call], Awaitable[object]]


class Service:
    """One gallery that is open in this process."""

    def __init__(self, state: Path, gallery: Gallery) -> None:
        self.tree = Tree(gallery)
        self.gallery = gallery
        self._state = state
        self._collecting = trio.Lock()
        self._calls: Mapping[str, Callable[[Call, Progress], Awaitable[object]]] = {
            "status": self._status,
            "wait": self._wait,
            "import": self._import,
            "search": self._search,
            "verify": self._verify,
            "passwd": self._passwd,
            "new-words": self._new_words,
            "doctor": self._doctor,
            "export": self._export,
            "tag": self._tag,
            "why": self._why,
            "people": self._people,
            "undo": self._undo,
            "acts": self._acts,
            "trash": self._trash,
            "rescan": self._rescan,
            "pause": self._pause,
            "resume": self._resume,
            "from-objects": self._from_objects,
            "repair": self._repair,
            "gc": self._gc,
            "pin": partial(self._keep, keeping.pin),
            "unpin": partial(self._keep, keeping.unpin),
            "offload": partial(self._keep, keeping.let_go),
        }

    async def answer(self, call: Call, progress: Progress) -> object:
        """Do what a call asks for and return what is told as JSON."""
        do = self._calls.get(call.name)
        if do is None:
            raise Usage(f"This tagfs does not know the call {call.name}.")
        return await do(call, progress)

    async def _status(self, call: Call, progress: Progress) -> object:
        return self.gallery.status().as_json()

    async def _wait(self, call: Call, progress: Progress) -> object:
        target = call.text("for")
        if target not in ("recognised", "stored"):
            raise Usage("One can wait for recognised or stored.")
        return await self.gallery.wait(target, call.maybe_number("timeout"))

    async def _import(self, call: Call, progress: Progress) -> object:
        sources = [Path(source) for source in call.texts("sources")]
        report = await import_paths(
            self.gallery, sources, call.maybe_text("into"), call.texts("tags"), progress
        )
        return report.as_json()

    async def _search(self, call: Call, progress: Progress) -> object:
        answer = search(self.gallery.state, call.text("query"))
        return [{"hint": hint} for hint in answer.hints] + [hit.as_json() for hit in answer.hits]

    async def _verify(self, call: Call, progress: Progress) -> object:
        report = await self.gallery.verify(call.maybe_number("sample"), progress)
        return report.as_json()

    async def _from_objects(self, call: Call, progress: Progress) -> object:
        return (await recover_from_objects(self.gallery, progress)).as_json()

    async def _repair(self, call: Call, progress: Progress) -> object:
        url = call.maybe_text("from")
        second = None if url is None else open_store(url, create=False)
        try:
            return (await put_back(self.gallery, second, progress)).as_json()
        finally:
            if second is not None:
                await second.close()

    async def _gc(self, call: Call, progress: Progress) -> object:
        async with self._collecting:  # two runs at once would not see what the other one does
            return (await collect(self.gallery, call.flag("dry-run"), progress)).as_json()

    async def _doctor(self, call: Call, progress: Progress) -> object:
        return [finding.as_json() for finding in await look_inside(self.gallery)]

    async def _export(self, call: Call, progress: Progress) -> object:
        query, sidecars = call.maybe_text("query"), call.flag("sidecars")
        state = self.gallery.state
        if query:
            plan = await exports.found(state, query, sidecars)
        else:
            plan = await exports.everything(state, sidecars)
        report = await export(self.gallery, plan, Path(call.text("dest")), progress)
        return report.as_json()

    async def _tag(self, call: Call, progress: Progress) -> object:
        return await tagging.tag(self.gallery, self.tree, call)

    async def _why(self, call: Call, progress: Progress) -> object:
        return await tagging.explain(self.gallery, self.tree, call)

    async def _people(self, call: Call, progress: Progress) -> object:
        return await persons.people(self.gallery, self.tree, call)

    async def _undo(self, call: Call, progress: Progress) -> object:
        return await taking_back.undo(self.gallery, call)

    async def _acts(self, call: Call, progress: Progress) -> object:
        return await taking_back.undoable(self.gallery, call)

    async def _trash(self, call: Call, progress: Progress) -> object:
        return await taking_back.trash(self.gallery, self.tree, call)

    async def _rescan(self, call: Call, progress: Progress) -> object:
        return await rescanning.rescan(self.gallery, call, progress)

    def _rests(self, call: Call) -> Line | Rest:
        """Return what the call bears on: uploading, or recognition."""
        if call.flag("recognition"):
            return self.gallery.looker.rest
        return self.gallery.uploader.line

    async def _pause(self, call: Call, progress: Progress) -> object:
        await self._rests(call).pause()
        return self.gallery.status().as_json()

    async def _resume(self, call: Call, progress: Progress) -> object:
        await self._rests(call).resume()
        return self.gallery.status().as_json()

    async def _keep(self, how: Keep, call: Call, progress: Progress) -> object:
        return await how(self.gallery, self.tree, call)

    async def _passwd(self, call: Call, progress: Progress) -> object:
        await self.gallery.vault.change_passphrase(Passphrase(call.text("new")))
        await self._keep_header()
        return None

    async def _new_words(self, call: Call, progress: Progress) -> object:
        await self.gallery.vault.change_words(Words(call.text("new")))
        await self._keep_header()
        return None

    async def _keep_header(self) -> None:
        header = StateDir(self._state).header
        await trio.to_thread.run_sync(write_file, header, self.gallery.vault.header)


@asynccontextmanager
async def open_service(
    state: Path,
    secret: Secret,
    recognising: bool = True,
    salvage: bool = False,
    jobs: int | None = None,
    nice: int = NICE,
) -> AsyncIterator[Service]:
    """Open the gallery of a state directory; ``recognising`` False leaves new photos unseen,
    ``salvage`` makes do with what damaged journals still tell; ``jobs`` workers look at photos,
    at a priority lower by ``nice``."""
    async with AsyncExitStack() as stack:
        eyes: Recogniser | None = None
        why = "not running"
        if recognising:
            try:
                eyes = await stack.enter_async_context(recogniser(jobs, nice))
            except (PackMissing, Integrity) as error:
                why = str(error)
        gallery = await stack.enter_async_context(
            open_gallery(
                state,
                secret,
                recogniser=eyes,
                no_recogniser=why,
                jobs=eyes.jobs if eyes is not None else 1,
                salvage=salvage,
            )
        )
        yield Service(state, gallery)
