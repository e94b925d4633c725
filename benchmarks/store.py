"""The feature store under fire: killed at random moments, bits flipped, files cut, eight at once, the disk full.

    python benchmarks/store.py [--kills 1000] [--damages 2000] [--crowds 50]

A child process fills a store of 1 500 rows in shards of 64 and is killed (SIGKILL) after a random time. Then each shard
that is there must be whole, no more than one shard's rows may have been computed in vain, and the resumed store must
equal the undisturbed one bit for bit. Damage: one flipped bit, or a file cut at a random byte; it must be found, the
rows computed again and be equal. Crowds: eight processes fill one store. A full disk (a small tmpfs, where mounting is
permitted): `linearhead extract` must say so, exit with 4 and leave what was stored as it was. Results in store.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import versions

from linearhead import container
from linearhead.data import feature_store
from linearhead.data.feature_store import Store

N, WIDTH, SHARD = 1500, 700, 64
LOOK = {"preprocessing": "any"}
KEYS = [hashlib.sha256(str(i).encode()).digest() for i in range(N)]
ROWS = np.random.default_rng(0).integers(0, 256, (N, WIDTH), dtype=np.uint8)


def fill(folder: Path, computed: mmap.mmap | None = None) -> int:
    """Adds what is missing; how many rows that was. `computed` counts them as they come."""
    table, added = Store(folder).table(LOOK, WIDTH, np.uint8), 0
    for i, key in enumerate(KEYS):
        if key not in table:
            added += 1
            if computed is not None:
                computed[:8] = added.to_bytes(8, "little")
            table.add(key, ROWS[i])
    table.flush()
    return added


def same(folder: Path) -> bool:
    table = Store(folder).table(LOOK, WIDTH, np.uint8)
    return all(key in table for key in KEYS) and bool(np.array_equal(table.rows(KEYS)[:], ROWS))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.rows"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shards(folder)}


def child(work) -> int:
    """The process that does it."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def killed(folder: Path, whole: dict[str, bytes], longest: float, rng: random.Random) -> dict[str, bool | int]:
    computed = mmap.mmap(-1, 8)
    pid = child(lambda: fill(folder, computed))
    time.sleep(rng.uniform(0, longest))
    os.kill(pid, signal.SIGKILL)
    finished = not os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    unreadable = 0
    for path in shards(folder):
        try:
            container.read(path)
        except container.Refused:
            unreadable += 1
    kept = N - fill(folder)
    lost = int.from_bytes(computed[:8], "little") - kept
    return {"finished": finished, "unreadable": unreadable, "lost": lost, "equal": content(folder) == whole}


def kills(times: int, place: Path) -> dict:
    rng, started = random.Random(0), time.perf_counter()
    fill(place / "whole")
    whole, longest = content(place / "whole"), 1.2 * (time.perf_counter() - started)
    found: list[dict] = []
    while sum(not f["finished"] for f in found) < times:
        folder = place / str(len(found))
        found.append(killed(folder, whole, longest, rng))
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "kills": sum(not f["finished"] for f in found),
        "too_late": sum(f["finished"] for f in found),
        "stores_with_unreadable_shards": sum(f["unreadable"] > 0 for f in found),
        "most_rows_computed_in_vain": max(f["lost"] for f in found),
        "rows_of_a_shard": SHARD,
        "resumed_stores_that_differ": sum(not f["equal"] for f in found),
    }


def damages(times: int, folder: Path) -> dict:
    rng = random.Random(1)
    fill(folder)
    whole, found, rebuilt = content(folder), 0, 0
    for trial in range(times):
        victim = rng.choice(shards(folder))
        data = bytearray(victim.read_bytes())
        if trial % 2:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        victim.write_bytes(data)
        found += 0 < fill(folder) <= SHARD and victim.with_suffix(".damaged").exists()
        rebuilt += content(folder) == whole
        for path in folder.rglob("*.damaged"):
            path.unlink()
    return {"damages": times, "found": found, "rebuilt_bit_equal": rebuilt}


def crowds(times: int, place: Path, processes: int = 8) -> dict:
    failed = wrong = 0
    for i in range(times):
        pids = [child(lambda i=i: fill(place / f"crowd{i}")) for _ in range(processes)]
        failed += sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
        wrong += not same(place / f"crowd{i}")
        shutil.rmtree(place / f"crowd{i}")
    return {"crowds": times, "processes": processes, "failed_processes": failed, "wrong_stores": wrong}


def full_disk(place: Path) -> dict | None:
    """None where no small file system can be mounted."""
    small, data = place / "small", place / "digits"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True).returncode:
        return None
    try:
        command = [sys.executable, "-c", "from linearhead.cli import main; main()"]
        subprocess.run([*command, "sample", "digits", str(data)], check=True, capture_output=True)
        some = place / "some"
        for folder in sorted(data.iterdir()):
            (some / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:10]:
                shutil.copy(path, some / folder.name)
        extract = [*command, "extract", "--features", "pixels", "--out", str(small / "store")]
        first = subprocess.run([*extract, str(some)], capture_output=True, text=True)
        before = content(small)
        large = [*extract, str(data), "--size", "64"]
        second = subprocess.run(large, capture_output=True, text=True)
        return {
            "first_exit": first.returncode,
            "exit_on_the_full_disk": second.returncode,
            "said": second.stderr.strip().splitlines()[-1][-120:].replace(str(place), "…"),
            "stored_before_intact": bool(before) and content(small).items() >= before.items(),
            "left_half_written": len(list(small.rglob(".linearhead-tmp*"))),
        }
    finally:
        subprocess.run(["umount", str(small)], check=True)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=1000)
    options.add_argument("--damages", type=int, default=2000)
    options.add_argument("--crowds", type=int, default=50)
    given = options.parse_args()
    feature_store.SHARD_ROWS = SHARD
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        record = {
            "kill": kills(given.kills, place),
            "damage": damages(given.damages, place / "damaged"),
            "crowd": crowds(given.crowds, place),
            "full_disk": full_disk(place),
            "versions": versions(),
        }
    print(json.dumps(record, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
