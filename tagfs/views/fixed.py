"""What a view refuses unless it says otherwise: everything that would change it."""

from __future__ import annotations

from collections.abc import Iterator

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change
from tagfs.errors import FileError, not_permitted
from tagfs.model import FileId
from tagfs.vault.ops import Op
from tagfs.views.nodes import Spot


class Fixed:
    """Views inherit from this what they do not allow."""

    name: str

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Refuse: what is in this view follows from something else."""
        raise not_permitted(f"Nothing can be put into {self.name}/.")

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Refuse: what is in this view follows from something else."""
        raise not_permitted(f"Nothing can be written into {self.name}/.")

    def shift(self, path: tuple[str, ...], new_path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Refuse, unless the two are one place."""
        if path == new_path:
            return []
        raise not_permitted(f"Nothing can be moved within {self.name}/.")

    def is_listed(self, spot: Spot) -> bool:
        """Every directory of this view is listed."""
        return True

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the view has the directories that it has."""
        raise not_permitted(f"{self.name}/ makes its folders itself.")

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the view has the directories that it has."""
        raise not_permitted(f"{self.name}/ makes its folders itself.")

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Refuse: the view has the directories that it has."""
        raise not_permitted(f"The folders of {self.name}/ have the names that they have.")

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Nothing."""
        return iter(())


class ReadOnly(Fixed):
    """Views in which tagfs alone writes inherit from this that nothing can be changed."""

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Refuse."""
        raise self._refusal()

    def _refusal(self) -> FileError:
        return not_permitted(f"Nothing can be changed inside {self.name}/.")
