"""Model files that were tampered with: 100 000 mutations, correctly sealed and not, under an audit hook; flipped bits.

    PYTHONPATH=tests python benchmarks/model_files.py [--mutations 100000] [--bits 2000]

The mutations and the hook are those of tests/test_store.py, at full size: letters changed, pieces deleted, inserted and
moved in header and payload, three in four with a checksum that fits. Each file is loaded; anything but a model or a
refusal ends the script. `events` are what the hook saw in all of them: only the model may be opened, for reading. Of
the flipped bits, at random places of an untouched file, each has to be refused. Results in model_files.json.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import versions

import test_store as tests
from linearhead.errors import FileError
from linearhead.store import load, save

KINDS = {"features": tests.model_of, "pictures": tests.picture_model}
AT_ONCE = 5000  # mutations of one process


def mutated(path: Path, seed: int) -> list:
    own = path.with_name(f"{path.name}-{seed}")
    own.write_bytes(path.read_bytes())
    script = tests.AUDIT.format(tests=str(Path(tests.__file__).parent), path=str(own), trials=AT_ONCE)
    return tests._run(script.replace("random.seed(1)", f"random.seed({seed})"))


def refused(data: bytearray, path: Path) -> bool:
    path.write_bytes(data)
    try:
        load(path)
    except FileError:
        return True
    return False


def flipped(path: Path, bits: int) -> int:
    """How many of so many flipped bits are refused."""
    good, rng, found = path.read_bytes(), random.Random(0), 0
    for _ in range(bits):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        found += refused(data, path.with_name("flipped"))
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--mutations", type=int, default=100_000)
    options.add_argument("--bits", type=int, default=2000)
    given = options.parse_args()
    each, record = given.mutations // len(KINDS), {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for name, make in KINDS.items():
            path = Path(folder, name)
            save(make(), path)
            answers = list(pool.map(lambda seed, path=path: mutated(path, seed), range(each // AT_ONCE)))
            record[name] = {
                "mutations": len(answers) * AT_ONCE,
                "still_models": sum(a[0] for a in answers),
                "refused": sum(a[1] for a in answers),
                "events": sorted({event for a in answers for event in a[2]}),
                "bits_flipped": given.bits // len(KINDS),
                "bits_refused": flipped(path, given.bits // len(KINDS)),
            }
            print(name, json.dumps(record[name]), flush=True)
    record["versions"] = versions()
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
