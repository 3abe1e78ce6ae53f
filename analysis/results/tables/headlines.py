"""What the stage of the continuous headlines writes beside its estimates."""

from __future__ import annotations

from analysis.results.contract import COUNT, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import DESIGNS, STRATUM

TOLD = {
    "mean": "a pooled mean: at least two results are numbers",
    "study": "one study, shown as itself",
    "words": "fewer than two results are numbers: directions are counted, the fit is a sensitivity",
    "none": "no result",
}
"""How the headline of a stratum is told."""

DESIGN = column("design", WORD, "which contrasts", words=DESIGNS)

HEADLINES = declare(
    "headlines",
    "How each outcome of each stratum is told, and on what it rests: one row a stratum and design.",
    (
        *STRATUM,
        DESIGN,
        column("told", WORD, "how it is told", words=TOLD),
        column("estimate_id", TEXT, "the estimate of the mean, blank where none is printed"),
        column("k_studies", COUNT, "results, one a cohort"),
        column("k_numbers", COUNT, "of them numbers (standard error known or learnt)"),
        column("k_randomised", COUNT, "of them randomised contrasts"),
        column("k_better", COUNT, "results clearly on the good side by their own test or interval"),
        column("k_null", COUNT, "results without a clear difference"),
        column("k_worse", COUNT, "results clearly on the bad side"),
        column("k_untested", COUNT, "numbers without a test or a spread of their own"),
        column("n_patients", COUNT, "patients, controls included"),
        column("n_in_words", COUNT, "of them in results known in words only"),
        column("n_unregistered", COUNT, "of them in trials for which no registration was found"),
        column("last_month", NUMBER, "latest month of a result", "months"),
    ),
    (*(c.name for c in STRATUM), "design"),
)

STUDY_ESTIMATES = declare(
    "study_estimates",
    "Every result that stands in a stratum, alone and given the others: one row a result.",
    (
        *STRATUM,
        DESIGN,
        column("effect_id", WORD, "the effect, as in effects.csv"),
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("year", NUMBER, "year of publication"),
        column("cell_class", WORD, "class of cells"),
        column("randomised", WORD, "yes or no", words=("yes", "no")),
        column("kind", WORD, "numeric, exact_p, two_points or interval"),
        column("months", NUMBER, "time after treatment", "months"),
        column("n_patients", COUNT, "patients, controls included"),
        column("direction", NUMBER, "1 clearly more, -1 clearly less, 0 neither, blank untested: "
               "by the result's own test or interval"),
        column("y", NUMBER, "the printed number on the model's scale; blank for words",
               "model scale"),
        column("p_exact", NUMBER, "the exact p-value that is printed with a number"),
        column("ci_low", NUMBER, "its own 95 % interval, at the centre of r", "model scale"),
        column("ci_high", NUMBER, "its own 95 % interval, at the centre of r", "model scale"),
        column("shrunk_mean", NUMBER, "given all the others", "model scale"),
        column("shrunk_low", NUMBER, "given all the others, 2.5 %", "model scale"),
        column("shrunk_high", NUMBER, "given all the others, 97.5 %", "model scale"),
        column("weight", NUMBER, "share of the information on the mean, 0 to 1"),
        column("risk_of_bias", TEXT, "settled overall judgement; `not judged` where none is"),
    ),
    (*(c.name for c in STRATUM), "design", "effect_id"),
)  # fmt: skip

DENSITIES = declare(
    "densities",
    "Posterior and prior densities of printed means, on a grid: one row a point.",
    (
        *STRATUM,
        DESIGN,
        column("quantity", WORD, "of the mean, of a new study, or the prior of the mean",
               words=("mean", "prediction", "prior")),
        column("x", NUMBER, "point of the grid", "model scale"),
        column("density", NUMBER, "density there", "per unit of the model scale"),
    ),
    (*(c.name for c in STRATUM), "design", "quantity", "x"),
)  # fmt: skip
