"""Folders of trained models: graphs beside a JSON file that says what they are.

`ModelKind` has what is common to all kinds: a format with a version, the one way in which such a folder is
read, and in which it is written. What a kind's fields mean, the module that runs it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylenorm.errors import InputError
from stylenorm.media import atomic_write, write_json
from stylenorm.style_files import read_small_file

__all__ = [
    "ADAIN",
    "CLASSIFIER",
    "GENERATOR",
    "NETWORK",
    "SEGMENTER",
    "TRANSLATOR",
    "ModelKind",
]

_MAX_BYTES = 2**26  # of a JSON file


@dataclass(frozen=True)
class ModelKind:
    """A kind of model.

    Attributes:
        name: of the JSON file, without suffix.
        format: what the file says it is; its number grows when old versions cannot read new files.
        expected: what such a folder is, for errors: who writes it.
        older: formats that can be read too.
    """

    name: str
    format: str
    expected: str
    older: tuple[str, ...] = ()

    def write(
        self, folder: Path, graphs: Mapping[str, bytes], fields: Mapping[str, Any], record: Mapping[str, str]
    ) -> None:
        """Write a folder, each file whole or not at all, and the JSON file last.

        Args:
            folder: made if it does not exist.
            graphs: ``NAME.onnx`` by name.
            fields: what the kind says beside format and record.
            record: how the model was trained.
        """
        for name, content in graphs.items():
            with atomic_write(folder / f"{name}.onnx", overwrite=True) as file:
                file.write(content)
        write_json(folder / f"{self.name}.json", {"format": self.format, **fields, "record": dict(record)})

    @contextmanager
    def reading(self, folder: Path, graphs: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Give the JSON file's content; what goes wrong with it inside is an error of the folder.

        Args:
            folder: what `write` wrote.
            graphs: names of those that must be there.

        Raises:
            InputError: it is no such folder, or of another version, or something is missing in it.
        """
        path = folder / f"{self.name}.json"
        expected = f"{folder}: expected {self.expected}"
        try:
            fields: Any = json.loads(read_small_file(path, _MAX_BYTES))
        except FileNotFoundError:
            found = f"no {path.name} in it" if folder.is_dir() else "no such folder"
            raise InputError(f"{expected}, found {found}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{expected}, but {path.name} cannot be read: {error}") from error
        try:
            if fields["format"] not in (self.format, *self.older):
                raise InputError(
                    f"{expected} of format {self.format}, got {fields['format']!r}; "
                    "use a version of stylenorm that knows it, or export the model again"
                )
            for name in graphs:
                if not (folder / f"{name}.onnx").is_file():
                    raise InputError(f"{expected}, found no {name}.onnx beside its {path.name}")
            yield fields
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{expected}, but its {path.name} lacks something: {error!r}; export the model again"
            ) from error


def _from_training(recipes: str) -> str:
    return f"a folder that 'stylenorm train {recipes}' wrote"


ADAIN = ModelKind("adain", "stylenorm-adain-1", _from_training("adain"))
CLASSIFIER = ModelKind("classifier", "stylenorm-classifier-1", _from_training("ibn"))
GENERATOR = ModelKind("generator", "stylenorm-generator-1", _from_training("stylegan' or 'stylegan2"))
NETWORK = ModelKind(
    "network", "stylenorm-network-1", "a network folder (with network.json; 'stylenorm train' writes one)"
)
SEGMENTER = ModelKind(
    "segmenter", "stylenorm-segmenter-2", _from_training("volumes"), older=("stylenorm-segmenter-1",)
)
TRANSLATOR = ModelKind(
    "translator", "stylenorm-translator-1", _from_training("cyclegan', 'pix2pix' or 'spade")
)
