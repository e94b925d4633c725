"""registries.md, from the registries themselves: what can be combined with what."""

from linearhead.course import CATALOGUE
from linearhead.diagnose import CHECKS
from linearhead.features import FEATURES
from linearhead.losses import LOSSES
from linearhead.objective import misfit
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS
from linearhead.testing import SAYINGS


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows])


print("# What there is\n\nGenerated from the registries when the site is built.\n\n## Losses\n")
yes = {True: "yes", False: "no"}
rows = [
    (f"`{n}`", c.title, c.formula, c.smoothness, yes[c.proper], ", ".join(s for s in SOLVERS if not misfit(n, "l2", s)))
    for n, c in LOSSES.items()
]
print(table(("name", "title", "per picture", "continuous derivatives", "probabilities", "solvers, with L2"), rows))
print("\n## Penalties\n")
print(table(("name", "kinks"), [(f"`{n}`", yes[not c.smooth]) for n, c in PENALTIES.items()]))
print("\n## Solvers\n")
rows = [(f"`{n}`", c.title, c.smoothness, yes[c.kinked_penalty]) for n, c in SOLVERS.items()]
print(table(("name", "title", "derivatives needed", "penalties with kinks"), rows))
print("\n## Features\n")
rows = [(f"`{n}`", ((c.__doc__ or "").strip() or n).splitlines()[0], yes[c.learns]) for n, c in FEATURES.items()]
print(table(("name", "what", "learns from the training pictures"), rows))
print("\n## Findings of the verdict\n")
print(table(("code",), [(f"`{code}`",) for code in CHECKS]))
print("\n## Mistakes that `check_gradient` names\n")
print(table(("in its `traps`",), [(f"`{name}`",) for name in SAYINGS]))
print("\n## Mistakes that `course check` names\n")
print(table(("code", "what it says", "what to do"), [(f"`{code}`", *words) for code, words in CATALOGUE.items()]))
