"""What this computer offers, for `doctor` and for the record of a run: versions, BLAS, threads, extras, formats.

The packages and extras are read from linearhead's own installed metadata, so this list cannot go stale; none of them is
imported to be found.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from .. import __version__
from ..arrays import available_threads


def versions() -> dict[str, str]:
    """The versions that a run's record keeps."""
    found = {"linearhead": __version__, "python": platform.python_version(), "system": platform.platform()}
    return found | {name: version_of(name) or "missing" for name in ("numpy", "scipy", "scikit-learn", "pillow")}


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def requirements() -> dict[str, list[str]]:
    """Package names per extra, as declared by linearhead itself; the extra '' is the core."""
    declared: dict[str, list[str]] = {"": []}
    for line in requires("linearhead") or []:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", line)
        if name:
            declared.setdefault(extra[1] if extra else "", []).append(name[0])
    return declared


def examine() -> dict[str, Any]:
    """Everything `doctor` prints, as JSON values; `problems` is empty when the core can work."""
    declared = requirements()
    core = {name: version_of(name) for name in declared.pop("")}
    lost = [name for name, found in core.items() if found is None]
    return {
        "linearhead": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": available_threads(),
        "core": core,
        "blas": [] if {"numpy", "threadpoolctl"} & set(lost) else _blas(),
        "formats": {} if "pillow" in lost else _formats(),
        "extras": {extra: _extra(extra, packages) for extra, packages in declared.items()},
        "cache": None if lost else _cache(),
        "problems": [f"{name} is missing; to install it: {sys.executable} -m pip install {name}" for name in lost],
    }


def _extra(extra: str, packages: list[str]) -> dict[str, Any]:
    missing = [name for name in packages if version_of(name) is None]
    install = f"{sys.executable} -m pip install 'linearhead[{extra}]'" if missing else None
    return {"installed": not missing, "missing": missing, "install": install}


def _cache() -> dict[str, Any] | None:
    """Where features are kept from run to run, and how many bytes they take, or why none can be."""
    from ..data.cache import MOST, default_folder, sizes
    from ..errors import FileError, explained

    found: dict[str, Any] = {"folder": None, "bytes": None, "most": MOST, "error": None}
    try:
        folder = default_folder()
        if folder is None:
            return None
        with explained("look into", folder):
            size = sum(size for _, size in sizes(folder).values())
            found |= {"folder": str(folder), "bytes": size}
    except FileError as error:
        found["error"] = str(error)
    return found


def _blas() -> list[dict[str, Any]]:
    import numpy as np
    from threadpoolctl import threadpool_info

    _ = np.ones((2, 2)) @ np.ones((2, 2))  # some builds load their BLAS with the first product
    return [
        {"library": pool["internal_api"], "version": pool.get("version"), "threads": pool["num_threads"]}
        for pool in threadpool_info()
    ]


def _formats() -> dict[str, bool]:
    """Which picture formats this Pillow was built to decode."""
    from PIL import features

    codecs = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp", "TIFF": "libtiff", "AVIF": "avif"}
    return {name: bool(features.check(codec)) for name, codec in codecs.items()} | {"GIF": True, "BMP": True}
