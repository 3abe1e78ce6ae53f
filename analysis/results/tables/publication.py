"""What the stage of publication bias writes: averages over bias models, tests of asymmetry."""

from __future__ import annotations

from analysis.results.contract import COUNT, FLAG, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import DESIGNS, STRATUM

DESIGN = column("design", WORD, "which contrasts", words=DESIGNS)
KEY = (*(c.name for c in STRATUM), "design")
MODEL = "model scale"

BIAS_MODELS = declare(
    "bias_models",
    "Every model of the average over effect, heterogeneity and publication bias.",
    (
        *STRATUM,
        DESIGN,
        column("effect", WORD, "whether the model has an effect"),
        column("heterogeneity", WORD, "whether it has heterogeneity"),
        column("bias", WORD, "its mechanism of bias"),
        column("prior_probability", NUMBER, "before the data"),
        column("posterior_probability", NUMBER, "given the data"),
        column("log_marginal_likelihood", NUMBER, "log probability of the data"),
        column("mean", NUMBER, "posterior mean of the effect", MODEL),
        column("sd", NUMBER, "its posterior SD", MODEL),
        column("tau", NUMBER, "SD between studies", MODEL),
    ),
    (*KEY, "effect", "heterogeneity", "bias"),
)

BIAS_SUMMARY = declare(
    "bias_summary",
    "The average over bias models of the printed numbers of each headline; words cannot enter.",
    (
        *STRATUM,
        DESIGN,
        column("k_studies", COUNT, "numbers with a standard error"),
        column("n_patients", COUNT, "their patients"),
        column("k_left_out", COUNT, "results in words or without a spread, which cannot enter"),
        column("bf_effect", NUMBER, "Bayes factor for an effect"),
        column("bf_heterogeneity", NUMBER, "Bayes factor for heterogeneity"),
        column("bf_bias", NUMBER, "Bayes factor for publication bias"),
        column("mean", NUMBER, "mean given an effect, over all models", MODEL),
        column("ci_low", NUMBER, "2.5 %", MODEL),
        column("ci_high", NUMBER, "97.5 %", MODEL),
        column("mean_unadjusted", NUMBER, "the same over models without bias", MODEL),
        column("ci_low_unadjusted", NUMBER, "2.5 %", MODEL),
        column("ci_high_unadjusted", NUMBER, "97.5 %", MODEL),
        column("tau", NUMBER, "SD between studies, averaged", MODEL),
        column("statement", TEXT, "what the answer is worth"),
    ),
    KEY,
)

SMALL_STUDY = declare(
    "small_study",
    "Classical tests of small-study effects on the printed numbers.",
    (
        *STRATUM,
        DESIGN,
        column("test", WORD, "egger, trim_and_fill or begg"),
        column("estimate", NUMBER, "intercept, mean after filling, or Kendall's tau"),
        column("ci_low", NUMBER, "2.5 %"),
        column("ci_high", NUMBER, "97.5 %"),
        column("p_value", NUMBER, "two-sided"),
        column("k_studies", COUNT, "studies"),
        column("k_filled", COUNT, "studies filled in"),
        column("note", TEXT, "what it is worth, or why it has no answer"),
    ),
    (*KEY, "test"),
)

FUNNEL = declare(
    "funnel",
    "The studies of the tests, and those that trim and fill adds.",
    (
        *STRATUM,
        DESIGN,
        column("study_id", TEXT, "the study, blank for one filled in"),
        column("label", WORD, "author and year"),
        column("y", NUMBER, "the effect", MODEL),
        column("se", NUMBER, "its standard error", MODEL),
        column("filled", FLAG, "whether it was filled in"),
    ),
    (*KEY, "study_id", "y", "se"),
)
