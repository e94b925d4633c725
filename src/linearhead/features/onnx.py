"""Any network as an ONNX file, through ONNX Runtime on the CPU: path/to/model.onnx, or one on the Hugging Face hub.

    --features nets/resnet.onnx                                a file, with its config.json beside it
    --features hf:OWNER/NAME@COMMIT/PATH/model.onnx#SHA256     one revision of a repository, and the file's hash

The file's SHA-256 (with weights that lie in files beside it) and the preprocessing are saved in the model; `predict`
finds the file where it was, in the current folder or in $LINEARHEAD_BACKBONES, and refuses another one. Threads are
those of the process's affinity. The internet is asked only where this names it, HF_HUB_OFFLINE is respected. Features
are the first output, or output=NAME.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import DataError, FileError, UsageError
from ..files import sha256, sha256_file
from .backbone import Backbone

LOCATION = re.compile(rb"\x0a\x08location\x12(?=(.)(.{0,127}))", re.DOTALL)  # an entry of a TensorProto's external_data
FOLDER = "LINEARHEAD_BACKBONES"  # environment variable: where else files are looked for
HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[^/#]*)/(?P<path>[^#]+)(#(?P<sha256>.*))?")


@dataclass(frozen=True)
class Onnx(Backbone):
    """`output`: the name of the output to use, instead of the first."""

    name = "onnx"
    title = "a network from an ONNX file"
    address: ClassVar[re.Pattern[str] | None] = re.compile(r"(?P<source>(hf:[^()]+|[^()]+\.onnx))")

    output: str = ""

    @classmethod
    def at(cls, source: str, **options: Any) -> Self:
        """The network at an address, found, hashed and with its preprocessing read."""
        path, config = _on_hub(source) if source.startswith("hf:") else _on_disk(source)
        return cls(source=source, sha256=digest(path), pixels=_settings(config, source), **options)

    @property
    def spec(self) -> str:
        return self._spec_of(self.source)

    def contract(self) -> dict[str, Any]:
        given = super().contract()
        if not self.source.startswith("hf:"):
            given["found"]["source"] = str(Path(self.source).absolute())
        return given

    def _network(self, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        session = self._session(threads)
        outputs = [o.name for o in session.get_outputs()]
        if self.output and self.output not in outputs:
            raise UsageError(f"{self.source} has no output {self.output!r}; it has {', '.join(outputs)}.")
        taken, wanted = session.get_inputs(), [self.output or outputs[0]]

        def run(x: np.ndarray) -> np.ndarray:
            try:
                return np.asarray(session.run(wanted, {taken[0].name: x})[0])
            except Exception as error:  # ONNX Runtime raises its own classes, which differ from version to version
                given = ", ".join(f"{value.name}: {value.type} {value.shape}" for value in taken)
                raise DataError(
                    f"{self.source} does not run on pictures as one float32 array {x.shape}: "
                    f"{str(error).splitlines()[0]} It takes {given}. Write it with one such input, and its "
                    "preprocessing in config.json."
                ) from error

        return run

    def _fill(self, pictures: np.ndarray, out: np.ndarray, threads: int) -> None:
        super(Onnx, self._as_fixed(threads))._fill(pictures, out, threads)

    def _width(self) -> int:
        return super(Onnx, self._as_fixed(1))._width()

    def rank(self) -> int:
        """Axes of what the network gives: 4 of a map, 3 of tokens, 2 of vectors."""
        return self._as_fixed(1)._answer().ndim

    def _as_fixed(self, threads: int) -> Self:
        """With the batch that the network was exported for, where it takes no other."""
        fixed = self._session(threads).get_inputs()[0].shape[:1]  # none where the file says no shape
        return replace(self, batch=fixed[0]) if fixed and isinstance(fixed[0], int) else self

    def _session(self, threads: int) -> Any:
        return _session(str(find(self.source, self.sha256)), self.sha256, threads)


@lru_cache(maxsize=64)
def find(source: str, wanted: str) -> Path:
    """The file of a saved model: where it was, here, or in $LINEARHEAD_BACKBONES; FileError where it is not."""
    if source.startswith("hf:"):
        places = [path for path in [_cached(source)] if path is not None]
    else:
        folders = [Path(), *(Path(folder) for folder in os.environ.get(FOLDER, "").split(os.pathsep) if folder)]
        places = [Path(source), *(folder / Path(source).name for folder in folders)]
    there = [path for path in places if path.is_file()]
    for path in there:
        if digest(path) == wanted:
            return path
    found = f"{there[0]} is another file (SHA-256 {digest(there[0])[:12]}…)" if there else f"{source} is not there"
    raise FileError(
        f"This model needs the network {source} with SHA-256 {wanted[:12]}…, but {found}. Put that file there, into "
        f"the current folder, or into a folder named by {FOLDER}"
        + (f"; hf download gets it: {_command(source)}." if source.startswith("hf:") else ".")
    )


def digest(path: Path) -> str:
    """The SHA-256 of a network: of its file, or of that and of its weights' files where these lie beside it."""
    own, beside = sha256_file(path), _beside(path)
    if not beside:
        return own
    return sha256("\n".join([own, *(f"{file.name} {sha256_file(file)}" for file in beside)]).encode())


def _beside(path: Path) -> list[Path]:
    """Files that an ONNX file's tensors name as the place of their numbers, without the onnx package."""
    if not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names = {text[: length[0]].decode("utf-8", "replace") for length, text in LOCATION.findall(data)}
    return [place for name in sorted(names) if "\0" not in name and (place := path.parent / name).is_file()]


def _on_disk(source: str) -> tuple[Path, Path]:
    path = Path(source)
    if not path.is_file():
        raise FileError(f"There is no file {source}. Name an ONNX file, e.g. --features nets/model.onnx.")
    return path, path.with_name("config.json")


def _on_hub(source: str) -> tuple[Path, Path]:
    """The file and its config, from the hub's cache or, where that lacks them, from the hub."""
    match = HUB.fullmatch(source)
    pinned = match and re.fullmatch(r"[0-9a-f]{40}", match["revision"])
    if not match or not pinned or not re.fullmatch(r"[0-9a-f]{64}", match["sha256"] or ""):
        raise UsageError(
            f"{source} does not pin the network. Needed: hf:OWNER/NAME@COMMIT/PATH.onnx#SHA256, the commit of 40 and "
            "the file's hash of 64 hexadecimal digits, so that the same words always mean the same network."
        )
    path = _download(match["repo"], match["revision"], match["path"], source)
    if (found := sha256_file(path)) != match["sha256"]:
        raise FileError(f"{source}: the file has the SHA-256 {found}. It is not the file that was pinned.")
    folder = match["path"].rpartition("/")[0]
    for name in dict.fromkeys((f"{folder}/config.json".lstrip("/"), "config.json")):
        try:
            return path, _download(match["repo"], match["revision"], name, source)
        except FileError:
            continue
    return path, path.with_name("config.json")


def _cached(source: str) -> Path | None:
    """The hub's file where it has been fetched before; the network is not asked."""
    match = HUB.fullmatch(source)
    if match is None:
        return None
    found = _hub().try_to_load_from_cache(match["repo"], match["path"], revision=match["revision"])
    return Path(found) if isinstance(found, str) else None


def _download(repo: str, revision: str, path: str, source: str) -> Path:
    try:
        return Path(_hub().hf_hub_download(repo, path, revision=revision))
    except Exception as error:  # the hub's client has its own family of errors, and the network has another
        raise FileError(
            f"{path} of {source} could not be had: {type(error).__name__}: {str(error).splitlines()[0]} "
            f"Without a network, fetch it elsewhere: {_command(source)}; then copy the hub's cache (HF_HOME)."
        ) from error


def _command(source: str) -> str:
    match = HUB.fullmatch(source)
    return f"hf download {match['repo']} {match['path']} --revision {match['revision']}" if match else "hf download"


def _settings(config: Path, source: str) -> dict[str, Any]:
    """timm's words from the config.json beside the file; `checked` says what is missing."""
    if not config.is_file():
        return {}
    try:
        value = json.loads(config.read_bytes())
    except ValueError as error:
        raise FileError(f"{config}, which should say how {source} wants its pixels, is no JSON ({error}).") from error
    return value if isinstance(value, dict) else {}


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UsageError("Networks from the hub need huggingface-hub: pip install 'linearhead[onnx]'.") from error
    return huggingface_hub


@lru_cache(maxsize=4)
def _session(path: str, digest: str, threads: int) -> Any:
    """The running network; `digest` only so that a file which has changed is loaded again."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("ONNX files need ONNX Runtime: pip install 'linearhead[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, which differ from version to version
        raise FileError(f"{path} is no ONNX file that ONNX Runtime can run: {str(error).splitlines()[0]}") from error
