"""Whether the fit reached its tolerance. Threshold: the solver's `tol`, re-measured in float64 (the certificate)."""

from __future__ import annotations

from ..records import Finding, Run
from .next_command import again

CODE = "not-converged"


def check(run: Run) -> Finding | None:
    fit = run.fit
    if fit.converged:
        return None
    proof = fit.certificate
    residual = f"; residual {proof.residual:.1e}, tolerance {proof.tolerance:.1e}" if proof else ""
    gap = f"; the objective {proof.value:.6g} is within {proof.gap:.1e} of its minimum" if proof and proof.gap else ""
    return Finding(
        code=CODE,
        title="The fit stopped before its optimum",
        severity="warning",
        evidence=f"{fit.solver} after {fit.iterations} iterations: {fit.status}{residual}{gap}.",
        advice="Train again with a larger --max-iter, another --solver, or a stronger --alpha; "
        "until then other runs on the same pictures may give other predictions.",
        command=again(run, "--max-iter", str(4 * max(fit.iterations, 25))),
    )
