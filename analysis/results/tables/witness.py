"""What the stage of the witnesses writes: headlines by quadrature beside the same, sampled."""

from __future__ import annotations

from analysis.results.contract import NUMBER, TEXT, WORD, column, declare

FIGURES = {"mean": "posterior mean", "sd": "posterior SD", "q025": "2.5 % point",
           "q975": "97.5 % point"}  # fmt: skip

WITNESS = declare(
    "witness",
    "Each headline by quadrature beside its witness, the same posterior sampled by NUTS.",
    (
        column("fit", WORD, "the headline"),
        column("quantity", WORD, "mu, tau, a new study, a shape or a point of a curve; `none` "
               "where there is no witness"),
        *(column(f"{name}_exact", NUMBER, f"{what}, by quadrature", "model scale")
          for name, what in FIGURES.items()),
        *(column(f"{name}_nuts", NUMBER, f"{what}, sampled", "model scale")
          for name, what in FIGURES.items()),
        *(column(f"{name}_mcse", NUMBER, f"Monte-Carlo error of the {what}", "model scale")
          for name, what in FIGURES.items()),
        column("worst_gap", NUMBER, "largest difference as a share of what is allowed (4 "
               "Monte-Carlo errors and a hundredth of an SD)"),
        column("silent", TEXT, "why there is no witness, blank where there is one"),
    ),
    ("fit", "quantity"),
)  # fmt: skip
