"""The call ``people``: who there is, naming them, and saying who is in a photo."""

from __future__ import annotations

from tagfs.errors import Usage
from tagfs.model import TagId, UnitId, Word, random_id
from tagfs.mount.messages import Call
from tagfs.mount.tagging import meant_by
from tagfs.pipeline.gallery import Gallery
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.nodes import escape
from tagfs.views.people import People
from tagfs.views.tree import Tree


async def people(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Do what a call asks for, and return everybody there is."""
    match call.text("do"):
        case "ls":
            pass
        case "name":
            _name(gallery, call.text("old"), call.text("new"))
        case "add":
            await _say(gallery, tree, call, Word.YES)
        case "remove":
            await _say(gallery, tree, call, Word.NO)
        case what:
            raise Usage(f"This tagfs does not know how to {what} people.")
    return [
        {"id": tag, "name": name, "photos": photos}
        for _, tag, name, photos in sorted(
            gallery.state.photos.persons(), key=lambda p: (p[2].casefold(), p[1])
        )
    ]


def _name(gallery: Gallery, old: str, new: str) -> None:
    """Rename a person; the name of another one makes the two one."""
    _person(gallery, old)
    view = People(gallery.state, gallery.ledger.name_person)
    _commit(gallery, view.rename_dir((), escape(old), (), escape(new)))


async def _say(gallery: Gallery, tree: Tree, call: Call, word: Word) -> None:
    name = call.text("name")
    ops: list[Op] = []
    tag = gallery.state.photos.person(name)
    if tag is None and word is Word.YES:
        view = People(gallery.state, gallery.ledger.name_person)
        ops += view.make_dir((), escape(name))
        tag = gallery.ledger.name_person(name)
    person = tag or _person(gallery, name)
    files, _ = await meant_by(gallery, tree, call)
    for file in files:
        ops += acts.say(file, [person], word)
    _commit(gallery, ops)


def _person(gallery: Gallery, name: str) -> TagId:
    found = gallery.state.photos.person(name)
    if found is None:
        raise Usage(f'Nobody is called "{name}"; `tagfs people` lists everybody.')
    return found


def _commit(gallery: Gallery, ops: list[Op]) -> None:
    if ops:
        gallery.ledger.commit(ops, by_user=True, act=UnitId(random_id()))
