"""Write the hashes of playground.html's own style and script into its policy: python docs/seal.py"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

PAGE = Path(__file__).parent / "_static" / "playground.html"


def sealed(text: str) -> str:
    """The page whose policy allows nothing but the style and the script that stand in it."""
    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        text = re.sub(rf"{tag}-src '[^']*'", lambda _, t=tag, d=digest: f"{t}-src 'sha256-{d}'", text, count=1)
    return text


if __name__ == "__main__":
    PAGE.write_text(sealed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
