"""What every task is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from asr.text.vocabulary import Vocabulary


class Task(nn.Module):
    """A network with what its labels mean, and its loss; made by `from_config`.

    ``groups`` are those of a configuration that it is made of, besides its own. Of its ``vocabularies`` the one named
    ``primary`` is what it writes when nothing else is said.
    """

    groups: ClassVar[tuple[str, ...]]
    vocabularies: dict[str, Vocabulary]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Task:
        """Build from the groups of a configuration. Raises InputError naming the setting that is wrong."""
        raise NotImplementedError

    @property
    def primary(self) -> str:
        """Name of the vocabulary that is written: the first."""
        return next(iter(self.vocabularies))

    @property
    def vocabulary(self) -> Vocabulary:
        """The primary one."""
        return self.vocabularies[self.primary]
