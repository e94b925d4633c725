"""Any network of the timm library (Wightman 2019) through PyTorch, on a GPU where there is one: timm:resnet18.a1_in1k.

timm itself finds the weights, in the hub's cache or on the hub (HF_HUB_OFFLINE is respected), and says how they want
their pixels. The SHA-256 over all its weights is saved in the model; other weights of the same name are refused.
pretrained=0 takes random weights from a fixed seed, for tests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import FileError, UsageError
from .backbone import NEEDED, Backbone


@dataclass(frozen=True)
class Timm(Backbone):
    """`pretrained`: 1 for trained weights, 0 for random ones."""

    name = "timm"
    title = "a network of timm"
    address: ClassVar[re.Pattern[str] | None] = re.compile(r"timm:(?P<source>[\w./:-]+)")

    pretrained: int = 1

    @classmethod
    def at(cls, source: str, **options: Any) -> Self:
        """The network of that name, its weights hashed and its preprocessing asked for."""
        _, pixels, digest = load(source, int(options.get("pretrained", 1)))
        return cls(source=source, sha256=digest, pixels=pixels, **options)

    @property
    def spec(self) -> str:
        return self._spec_of(f"timm:{self.source}")

    def _network(self, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        network, _, digest = load(self.source, self.pretrained)
        if digest != self.sha256:
            raise FileError(
                f"This model was trained on other weights of timm:{self.source} (SHA-256 {self.sha256[:12]}…; found "
                f"{digest[:12]}…). Bring back the hub's cache of that time, or train again."
            )
        torch: Any = import_module("torch")
        torch.set_num_threads(threads)
        device = next(network.parameters()).device

        def run(x: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return network(torch.from_numpy(x).to(device)).float().cpu().numpy()

        return run


@lru_cache(maxsize=2)
def load(source: str, pretrained: int) -> tuple[Any, dict[str, Any], str]:
    """(network without its last layer, timm's words for the pixels, SHA-256 of all weights)."""
    try:
        timm: Any = import_module("timm")
        torch: Any = import_module("torch")
    except ImportError as error:
        raise UsageError("timm:NAME needs PyTorch and timm: pip install 'linearhead[torch]'.") from error
    torch.manual_seed(0)
    try:
        network = timm.create_model(source, pretrained=bool(pretrained), num_classes=0).eval()
    except Exception as error:  # unknown names, no network, no weights: each has its own class
        raise UsageError(
            f"timm cannot make {source!r}: {type(error).__name__}: {str(error).splitlines()[0]} "
            "timm.list_models(pretrained=True) lists the names."
        ) from error
    config = timm.data.resolve_data_config({}, model=network)
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    pixels = {key: config[key] for key in (*NEEDED, "interpolation", "crop_pct", "crop_mode") if key in config}
    return network.to("cuda" if torch.cuda.is_available() else "cpu"), pixels, digest.hexdigest()
