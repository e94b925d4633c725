"""Whether the fit reached its tolerance. Threshold: the solver's `tol`, re-measured in float64 (the certificate).

Silent where the learning rate is the reason: that is said instead.
"""

from __future__ import annotations

from math import isfinite

from ..records import Finding, Run, Status
from . import learning_rate_large, learning_rate_small
from .next_command import again, plain, with_lbfgs

CODE = "not-converged"
FAR = 0.25


def check(run: Run) -> Finding | None:
    fit = run.fit
    if fit.converged or any(other.check(run) for other in (learning_rate_large, learning_rate_small)):
        return None
    proof = fit.certificate
    residual = f"; residual {proof.residual:.1e}, tolerance {proof.tolerance:.1e}" if proof else ""
    gap = f"; the objective {proof.value:.6g} is within {proof.gap:.1e} of its minimum" if proof and proof.gap else ""
    return Finding(
        code=CODE,
        title="The fit stopped before its optimum",
        severity="warning",
        evidence=f"{fit.solver} after {fit.iterations} {fit.rounds}: {fit.status}{residual}{gap}.",
        **_remedy(run),
    )


def far(run: Run) -> bool:
    """Whether the fit ended so far from its optimum that its mistakes say nothing of pictures or features: the way that
    may be left, F − F⋆ at most, is over a quarter of the way behind. No objective here is negative."""
    fit, proof = run.fit, run.fit.certificate
    start = next((v for v in fit.trace.value if v is not None), None)
    if fit.converged or proof is None or start is None:
        return False
    if proof.value is None or not isfinite(proof.value):
        return True
    return proof.gap is not None and min(proof.gap, proof.value) > FAR * (start - proof.value)


def _remedy(run: Run) -> dict[str, str]:
    """What helps depends on what stopped it: more iterations only where their limit did."""
    fit = run.fit
    least = fit.certificate.residual if fit.certificate else 1.0
    advice, command = {
        Status.STALLED.value: (
            "More iterations change nothing, rounding has the say: accept what is left (--tol), or train with "
            "--standardize or a stronger --alpha",
            again(run, "--tol", plain(2 * least)),
        ),
        Status.DIVERGED.value: ("Take smaller steps (--learning-rate), or a solver without any", with_lbfgs(run)),
        Status.UNBOUNDED.value: (
            "Let large weights cost something",
            again(run, "--penalty", "l2", without=("--alpha",)),
        ),
        Status.INTERRUPTED.value: ("Train again and let it finish", again(run)),
    }.get(
        fit.status,
        (
            "Train again with a larger --max-iter, another --solver, or a stronger --alpha",
            again(run, "--max-iter", str(4 * max(fit.iterations, 25))),
        ),
    )
    until = "until then other runs on the same pictures may give other predictions."
    return {"advice": f"{advice}; {until}", "command": command}
