"""WebDataset: tar files in which the members of one sample share a name: 0001.jpg + 0001.cls (or 0001.json).

One pass over the headers makes an index (shard, offset, length); pictures are read from the tar when they are decoded,
nothing is ever extracted. `.cls` is the label as text; `.json` an object with a `label` (or an alias), and perhaps a
`split` and a `group`. A folder of shards is read as a whole; a shard whose name begins with a split word is that split.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from ..records import Skipped
from .contract import IMAGE_ENDINGS, Dataset, by_name, split_named, split_of_shard
from .manifest import text_of

LABEL_KEYS = ("label", "class", "cls", "target", "category", "class_name")
MOST_LABEL_BYTES = 2**20  # of a .cls or .json; a real one has a few
BLOCK = 512


@dataclass
class _Sample:
    """One name's members: where its picture lies and what is known about it."""

    shard: Path
    key: str
    picture: tuple[int, int] | None = None  # offset, length
    label: str | None = None
    split: str = ""
    group: str | None = None
    trouble: str | None = None
    described: set[str] = field(default_factory=set)  # the endings of what has spoken of it


def recognises(path: Path) -> bool:
    """Whether `path` is a tar file, or a folder of tar files without pictures of its own."""
    return bool(_shards(path))


def read(path: Path) -> Dataset:
    """All samples of all shards, in their order; samples without a picture or a label are skipped."""
    samples: list[_Sample] = []
    skipped: list[Skipped] = []
    shards = _shards(path)
    for shard in shards:
        _index(shard, samples, skipped)
    several = len(shards) > 1
    used: list[_Sample] = []
    for sample in samples:
        if sample.picture and sample.label and not sample.trouble:
            used.append(sample)
            continue
        reason = sample.trouble or (
            "no label (.cls or .json) of that name" if sample.picture else "a label without a picture"
        )
        skipped.append(Skipped(_name(sample, several), reason))
    labels, classes = by_name([sample.label or "" for sample in used])
    grouped = any(sample.group for sample in used)
    return Dataset(
        source=str(path),
        reader="webdataset",
        names=[_name(sample, several) for sample in used],
        labels=labels,
        classes=classes,
        splits=np.array([sample.split for sample in used], dtype="<U5"),
        read=lambda i: _picture(used[i]),
        groups=np.array([s.group or f"sample {i}" for i, s in enumerate(used)]) if grouped else None,
        skipped=skipped,
    )


def _shards(path: Path) -> list[Path]:
    if path.is_dir():  # a tar among class folders is somebody's backup
        inside = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        tars = sorted(entry for entry in inside if entry.suffix.lower() == ".tar" and entry.is_file())
        return [] if tars and any(entry.is_dir() for entry in inside) else tars
    if path.suffix.lower() == ".tar" or path.name.lower().endswith((".tar.gz", ".tgz")):
        return [path] if path.is_file() else []
    return []


def _index(shard: Path, samples: list[_Sample], skipped: list[Skipped]) -> None:
    """Adds the shard's samples; every other member but folders and hidden files is listed as skipped."""
    if shard.suffix.lower() != ".tar":
        raise DataError(f"{shard} is compressed, so its pictures cannot be read one by one. Run: gunzip {shard.name}")
    split = split_of_shard(shard.stem)
    here: dict[str, _Sample] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isdir() or PurePosixPath(member.name).name.startswith("."):
                    continue
                _member(archive, member, here, shard, split, skipped)
            _require_end_mark(shard, archive.offset)
    except (tarfile.TarError, OSError, EOFError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{shard} cannot be read as a tar file: {error}. Fetch it again.") from error
    samples.extend(here.values())


def _require_end_mark(shard: Path, end: int) -> None:
    """A tar ends with blocks of zeros; where there is something else or nothing, `tarfile` just stops, and members may
    be gone."""
    with shard.open("rb") as file:
        file.seek(end)
        block = file.read(BLOCK)
    if block != bytes(BLOCK):
        what = "was cut off" if len(block) < BLOCK else "is damaged"
        raise FileError(f"{shard} {what}: at byte {end} there is neither a member nor the end mark. Fetch it again.")


def _member(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    here: dict[str, _Sample],
    shard: Path,
    split: str,
    skipped: list[Skipped],
) -> None:
    folder, _, base = member.name.rpartition("/")
    stem, dot, ending = base.partition(".")
    ending = f".{ending.lower()}" if dot else ""
    key = f"{folder}/{stem}" if folder else stem
    wanted = ending in IMAGE_ENDINGS or ending in (".cls", ".json")
    if not wanted or not member.isfile() or member.issparse():
        reason = "not a plain file" if wanted else f"neither picture nor label ({ending or 'no ending'})"
        skipped.append(Skipped(f"{shard.name}/{member.name}", reason))
        return
    sample = here.setdefault(key, _Sample(shard, key, split=split))
    if ending in sample.described or (ending in IMAGE_ENDINGS and sample.picture):
        what = "picture" if ending in IMAGE_ENDINGS else ending
        skipped.append(Skipped(f"{shard.name}/{member.name}", f"a second {what} of one sample; the first is used"))
    elif ending not in IMAGE_ENDINGS:
        _describe(sample, ending, archive, member)
    else:
        sample.picture = (member.offset_data, member.size)


def _describe(sample: _Sample, ending: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Reads a .cls or .json into the sample."""
    sample.described.add(ending)
    file = archive.extractfile(member) if member.size <= MOST_LABEL_BYTES else None
    text = file.read() if file else b""
    try:
        if ending == ".cls":
            sample.label = text.decode("utf-8").strip() or None
            return
        about: Any = json.loads(text)
        value = next((about[key] for key in LABEL_KEYS if about.get(key) is not None), None)
        sample.label = sample.label or text_of(value)
        sample.split = split_named(text_of(about.get("split")) or "") or sample.split
        sample.group = text_of(about.get("group")) or sample.group
    except (ValueError, AttributeError, KeyError, RecursionError):
        sample.trouble = f"its {ending} is damaged or of another form"


def _name(sample: _Sample, several: bool) -> str:
    return f"{sample.shard.name}/{sample.key}" if several else sample.key


def _picture(sample: _Sample) -> bytes:
    assert sample.picture
    offset, length = sample.picture
    with sample.shard.open("rb") as file:
        file.seek(offset)
        return file.read(length)
