"""The verdict: one check a file, each reads a `Run` and answers with a `Finding` or None.

A check has a stable code (its file's name), a threshold and where that comes from. A new one costs one file and one
line here; `verdict` runs them in the order in which a reader should hear them. Muted codes are not told.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from ..errors import UsageError
from ..records import Finding, Run
from . import (
    alpha_at_edge,
    duplicates_across_splits,
    enough_pictures,
    few_judged,
    few_pictures,
    imbalance,
    intercept_frozen,
    label_errors,
    learning_rate_large,
    learning_rate_small,
    miscalibrated,
    more_pictures,
    no_better_than_majority,
    no_shuffling,
    not_converged,
    overfitting,
    richer_features,
    shifted,
    shortcut,
    sound,
    test_reused,
    underfitting,
)
from .next_command import again

CHECKS: dict[str, Callable[[Run], Finding | None]] = {
    module.CODE: module.check
    for module in (
        no_better_than_majority,
        no_shuffling,
        intercept_frozen,
        learning_rate_large,
        learning_rate_small,
        not_converged,
        duplicates_across_splits,
        shifted,
        shortcut,
        label_errors,
        overfitting,
        underfitting,
        imbalance,
        few_pictures,
        miscalibrated,
        more_pictures,
        richer_features,
        enough_pictures,
        few_judged,
        alpha_at_edge,
        test_reused,
    )
}

# those that the judged pictures decide: what `evaluate` asks when others judge a finished model
JUDGING = frozenset(
    module.CODE
    for module in (
        no_better_than_majority,
        duplicates_across_splits,
        shifted,
        overfitting,
        underfitting,
        miscalibrated,
        few_judged,
        test_reused,
    )
)


def check_codes(codes: Iterable[str]) -> None:
    """UsageError for a code that no check has."""
    unknown = [code for code in codes if code not in CHECKS]
    if unknown:
        raise UsageError(f"--mute: no finding has the code {unknown[0]!r}. Codes: {', '.join(CHECKS)}.")


def verdict(run: Run, among: Collection[str] | None = None) -> list[Finding]:
    """Every finding about the run that is not muted, or those `among` some codes; when none warns, `sound` says what
    was looked at."""
    asked = CHECKS.keys() if among is None else among
    checks = [check for code, check in CHECKS.items() if code in asked and code not in run.muted]
    findings = [changed(run, finding) for check in checks if (finding := check(run)) is not None]
    quiet = not any(finding.severity in ("warning", "problem") for finding in findings)
    good = sound.finding(run) if among is None else sound.of_judged(run)
    return [*([good] if quiet else []), *findings]


def changed(run: Run, finding: Finding) -> Finding:
    """The finding, without its command where that is the one just run: it would end in the same finding."""
    same = sorted(shlex.split(finding.command)) == sorted(shlex.split(again(run)))
    return replace(finding, command="") if same else finding


__all__ = ["CHECKS", "JUDGING", "check_codes", "verdict"]
