"""Folders of pictures: root/class/*, or root/train/class/*, root/valid/class/*, root/test/class/*.

One pass over the tree, every file accounted for: a picture inside a class folder (at any depth) is a row, every other
file is listed as skipped with its reason; hidden files are what the desktop keeps for itself and are not counted.
Split folders are recognised by the words that people use (`SPLIT_WORDS`), in any case. What a file holds is
found out when it is decoded; here its name's ending decides, or its first bytes where the name has none.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np

from ..errors import DataError, FileError
from ..records import Skipped
from .contract import IMAGE_ENDINGS, SPLIT_WORDS, Dataset, by_name, listed

ADVICE = {  # pictures in formats that are not read, and what to do about it
    **dict.fromkeys((".heic", ".heif"), "a HEIC picture, which is not read here; convert it to JPEG"),
    **dict.fromkeys((".svg", ".pdf", ".psd", ".ai", ".eps"), "not a photo format that is read here; export it as PNG"),
    **dict.fromkeys((".jp2", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".tga", ".ico", ".exr"),
                    "a picture format that is not read here; convert it to PNG or JPEG"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".7z", ".rar"), "an archive; unpack it"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm"), "a video; export its frames as JPEG"),
}  # fmt: skip
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
EMPTY, SEEN = "an empty folder", "a symbolic link to a folder that is read already"
DESKTOP = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx", "ehthumbs.db"})


@dataclass
class _Tree:
    """What one pass found: (parts of the path below the root) of every picture, and the rest with reasons."""

    pictures: list[tuple[str, ...]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def read(path: Path) -> Dataset:
    """The pictures below `path`, labelled by folder; DataError where there is no picture or no class folder."""
    tree = _scan(path)
    if not tree.pictures:
        raise DataError(_nothing_found(path, tree))
    split_of = _split_folders(tree)
    depth = 1 if split_of else 0
    rows: list[tuple[tuple[str, ...], str, str]] = []
    for parts in tree.pictures:
        if split_of and parts[0] not in split_of:
            tree.skipped.append(Skipped("/".join(parts), f"outside the split folders {listed(list(split_of))}"))
        elif len(parts) <= depth + 1:
            tree.skipped.append(Skipped("/".join(parts), "not inside a class folder"))
        else:
            rows.append((parts, split_of.get(parts[0], ""), parts[depth]))
    if not rows:
        raise DataError(_no_class_folders(path, tree))
    labels, classes = by_name([label for _, _, label in rows])
    places = [os.path.join(path, *parts) for parts, _, _ in rows]
    return Dataset(
        source=str(path),
        reader="folder",
        names=["/".join(parts) for parts, _, _ in rows],
        labels=labels,
        classes=classes,
        splits=np.array([split for _, split, _ in rows], dtype="<U5"),
        read=lambda i: Path(places[i]),
        skipped=sorted(tree.skipped, key=lambda s: s.path),
    )


def nested_only(dataset: Dataset) -> tuple[Path, list[str]]:
    """Of a single class the folder in which its pictures part, and the two or more sub-folders that hold all of them:
    perhaps those are the classes. None are named where there is no such folder."""
    shared = os.path.commonpath([os.path.dirname(name) for name in dataset.names])
    parted = {os.path.dirname(name)[len(shared) :].lstrip("/").split("/")[0] for name in dataset.names}
    certain = len(parted) > 1 and "" not in parted and not np.any(dataset.splits)
    return Path(dataset.source, shared), sorted(parted) if certain else []


def files_below(root: Path) -> list[tuple[Path, str | None]]:
    """Every file below a folder in name order, whatever it holds, but no hidden one; and with the reason every folder,
    be it the root itself, that cannot be read."""
    below = ((Path(root, *parts), entry) for parts, entry in _entries(root) if entry not in (EMPTY, SEEN))
    return sorted(((path, entry if isinstance(entry, str) else None) for path, entry in below), key=itemgetter(0))


def _scan(root: Path) -> _Tree:
    """Every file below the root, sorted by name; FileError where the root cannot be read."""
    tree = _Tree()
    for parts, entry in _entries(root):
        reason = entry if isinstance(entry, str) else _why_not(entry)
        if not parts:
            raise FileError(f"{root} is {reason}. Check its permissions and its disk, or give another folder.")
        if reason is None:
            tree.pictures.append(parts)
        else:
            tree.skipped.append(Skipped("/".join(parts), reason))
    tree.pictures.sort()
    tree.skipped.sort(key=lambda s: s.path)
    return tree


def _entries(root: Path) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str] | str]]:
    """(parts of its path below the root, entry) of all that is no folder, and of folders that give nothing why. Folders
    reached through links come last and each real one once."""
    visited: set[tuple[int, int]] = set()
    waiting: list[tuple[str, ...]] = [()]
    links: list[tuple[str, ...]] = []
    while waiting or links:
        through_link = not waiting
        below = waiting.pop() if waiting else links.pop(0)
        try:
            inside = _inside(os.path.join(root, *below), visited)
        except OSError as error:
            yield below, f"a folder that cannot be read ({error.strerror or error})"
            continue
        if inside is None and through_link:
            yield below, SEEN
        elif inside == [] and below:
            yield below, EMPTY
        for entry in inside or ():
            parts = (*below, entry.name)
            if _is_folder(entry):
                (links if entry.is_symlink() else waiting).append(parts)
            else:
                yield parts, entry


def _inside(folder: str, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]] | None:
    """What lies in a folder, by name, without what is hidden; None where it was read already: a link to it would count
    its pictures twice, or never end."""
    about = os.stat(folder)
    if (about.st_dev, about.st_ino) in visited:
        return None
    visited.add((about.st_dev, about.st_ino))
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not hidden(e.name)), key=lambda e: e.name)


def hidden(name: str) -> bool:
    """Whether a file or folder is what the desktop keeps for itself, not for anybody to count."""
    return name.startswith(".") or name.lower() in DESKTOP


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _why_not(entry: os.DirEntry[str]) -> str | None:
    """Why this entry, which is no folder, is not taken as a picture; None if it is."""
    if entry.is_symlink():
        try:
            mode = entry.stat().st_mode
        except FileNotFoundError:
            return "a symbolic link to something that is not there"
        except OSError as error:
            return f"a symbolic link that cannot be followed ({error.strerror or error})"
        regular = stat.S_ISREG(mode)
    else:
        regular = entry.is_file(follow_symlinks=False)
    if not regular:
        return "not a regular file (a pipe, socket or device)"
    ending = os.path.splitext(entry.name)[1].lower()
    if ending in IMAGE_ENDINGS or (not ending and _begins_like_a_picture(entry.path)):
        return None
    return ADVICE.get(ending, f"not a picture ({ending})" if ending else "not a picture (no ending in its name)")


def _begins_like_a_picture(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(8).startswith(BEGINNINGS)
    except OSError:
        return False


def _split_folders(tree: _Tree) -> dict[str, str]:
    """Top folder → split, where the top folders are splits and not classes; else {}.

    They are splits where all are named by split words. With others beside them, a word may as well name a class
    ("train" beside "bus"), so then two different splits have to have sub-folders with pictures, the classes.
    """
    tops = {parts[0] for parts in tree.pictures if len(parts) > 1}
    with_classes = {parts[0] for parts in tree.pictures if len(parts) > 2}
    words = {top: SPLIT_WORDS[top.lower()] for top in sorted(tops) if top.lower() in SPLIT_WORDS}
    certain = len(words) == len(tops) or len({words[top] for top in words if top in with_classes}) > 1
    return words if certain else {}


def _endings(tree: _Tree) -> str:
    counted = Counter(
        "empty folders" if s.reason == EMPTY else os.path.splitext(s.path)[1].lower() or "without an ending"
        for s in tree.skipped
    )
    return ", ".join(f"{n} {ending}" for ending, n in counted.most_common(5))


def layout(path: Path) -> str:
    """How a folder of pictures has to look, for errors."""
    return (
        f"one sub-folder of pictures per class, such as {path}/cat/1.jpg and {path}/dog/1.jpg, "
        f"or the same inside {path}/train and {path}/test"
    )


def _nothing_found(path: Path, tree: _Tree) -> str:
    found = (
        f"no picture but {len(tree.skipped)} other entr{'ies' if len(tree.skipped) > 1 else 'y'} ({_endings(tree)})"
        if tree.skipped
        else "nothing"
    )
    first = f" First: {tree.skipped[0].path}: {tree.skipped[0].reason}." if tree.skipped else ""
    return (
        f"{path} holds {found}.{first} Needed: {layout(path)}. Pictures are JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF."
        f"{table_hint(path, tree.skipped)}"
    )


def _no_class_folders(path: Path, tree: _Tree) -> str:
    n = len(tree.pictures)
    found = f"{n} pictures but no class folders: {tree.pictures[0][-1]} and the others lie"
    return (
        f"{path} holds {found if n > 1 else f'one picture but no class folders: {tree.pictures[0][-1]} lies'} directly "
        f"in {path.joinpath(*tree.pictures[0][:-1])}, and nothing says what they show. Needed: {layout(path)}."
        f"{table_hint(path, tree.skipped)}"
    )


def table_hint(path: Path, skipped: list[Skipped]) -> str:
    """A sentence about a table that lies beside the pictures and may say what they show, or about arrays that may be
    the data; "" where none does."""
    arrays = [one.path for one in skipped if one.path.lower().endswith((".npz", ".npy"))]
    tables = [one.path for one in skipped if one.path.lower().endswith((".csv", ".tsv", ".jsonl", ".ndjson"))]
    if tables:
        return f" Or, if {tables[0]} says what each picture shows, give {path / tables[0]} itself."
    return f" Or, if {arrays[0]} holds the pictures or features, give {path / arrays[0]} itself." if arrays else ""
