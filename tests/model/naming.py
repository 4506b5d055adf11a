"""What views call things: one name for each photo in the whole vault."""

from __future__ import annotations

from saying import Saying
from things import Content, File, plain


class Naming(Saying):
    """Which name views show of what has it, and what goes aside for what is written there."""

    def _called_now(self, file: File) -> str | None:
        """Return under which name views list a photo, or a document that somebody tagged."""
        if file.photo:
            return self.subject(file).label
        return file.gathered if self._is_known(file) else None

    def _is_known(self, file: File) -> bool:
        """Whether somebody said something of a document, so that views list it, too."""
        said = self.subject(file)
        return bool(file.data and (self.tags_of(file) or said.favourite or said.date))

    def _anothers(self, name: str, there: File) -> bool:
        """Whether views call a photo so that is another than the one that stands here: "other
        photos change it in two cases only"."""
        others = (f for f in self.live() if f.data != there.data)
        return any(self._called_now(f) == name for f in others)

    def _called(self, file: File, name: str) -> None:
        content = self.subject(file)
        had = content.label or content.asked
        if content.chosen and had != name:  # who chose the same name shows it again
            for other in self.contents.values():
                if other is not content and other.chosen and other.asked == had:
                    other.label = None
        content.label, content.asked, content.chosen = None, name, True

    def _unfiled_as(self, file: File, name: str) -> str | None:
        """Return the place without a folder that a name is of, as it is or with ``~id``."""
        own = [n for folder, n in file.places if folder is None]
        if name not in own and (name not in file.labels or self.subject(file).label == name):
            return None  # what a photo is called is no place
        return next((n for n in plain(name) if n in own), None)

    def _aside(self, name: str) -> None:
        """Everything that views call so, or would if it were free, is ``name~id`` from now on."""
        for file in {self.line(f) for f in self.live() if f.photo or self._is_known(f)}:
            content = self.subject(file)
            if self._called_now(file) == name:
                self._called(file, name)
            elif not content.chosen and file.places[0][1] == name:
                content.asked, content.chosen = name, True

    def _may_be_called_again(self, file: File) -> None:
        """A photo that made way for what ends as a copy of it may have its name back: "when they
        prove to be the same picture it was an edit"."""
        content = self.subject(file)
        if file.data in file.over and content.asked in {name for _, name in file.places}:
            content.label = None

    def _contested(self, name: str | None, file: File) -> bool:
        """Whether something else that has chosen no name would be called so if it were free."""
        others = {self.line(f) for f in self.live() if f.photo or self._is_known(f)}
        return any(
            other.places[0][1] == name and not self.subject(other).chosen
            for other in others
            if other.data != file.data
        )

    def come_back(self) -> None:
        """Of two photos that chose one name, because one of them was away while the other did,
        "the smaller id keeps it": which one, no user can foresee. When one of them goes again, the
        other shows the name."""
        live = {f.data for f in self.live()}
        names: dict[str, list[Content]] = {}
        for data, content in self.contents.items():
            if data in live and content.chosen and (called := content.label or content.asked):
                names.setdefault(called, []).append(content)
        for name, contents in names.items():
            if any(c.gone for c in contents):
                for content in contents:
                    content.label, content.asked = None, name
        for data, content in self.contents.items():
            if data not in live and not content.gone and content.chosen:
                for other in self.contents.values():
                    if other.chosen and other.asked == (content.label or content.asked):
                        other.label = None
            content.gone = data not in live
