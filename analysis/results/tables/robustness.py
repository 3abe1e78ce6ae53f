"""What the stage of robustness writes: what each headline depends on."""

from __future__ import annotations

from analysis.results.contract import COUNT, FLAG, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import DESIGNS, STRATUM
from analysis.sensitivity.effect_choices import CHOICES

DESIGN = column("design", WORD, "which contrasts", words=DESIGNS)
KEY = (*(c.name for c in STRATUM), "design")
MODEL = "model scale"
FIGURES = (
    column("mean", NUMBER, "posterior mean", MODEL),
    column("ci_low", NUMBER, "lower end of the 95 % interval", MODEL),
    column("ci_high", NUMBER, "upper end of the 95 % interval", MODEL),
    column("pred_low", NUMBER, "lower end of the 95 % prediction interval", MODEL),
    column("pred_high", NUMBER, "upper end of the 95 % prediction interval", MODEL),
    column("tau", NUMBER, "posterior median of the SD between studies", MODEL),
)
COUNTS = (column("k_studies", COUNT, "results left"), column("n_patients", COUNT, "patients left"))

LEAVE_ONE_OUT = declare(
    "leave_one_out",
    "The headline without each study in turn.",
    (*STRATUM, DESIGN, column("left_out", WORD, "the study left out"),
     column("label", WORD, "author and year"), *FIGURES, *COUNTS),
    (*KEY, "left_out"),
)  # fmt: skip

CUMULATIVE = declare(
    "cumulative",
    "The headline as studies were published.",
    (*STRATUM, DESIGN, column("place", COUNT, "how many studies so far"),
     column("study_id", WORD, "the study added"), column("label", WORD, "author and year"),
     column("year", NUMBER, "its year"), *FIGURES, *COUNTS),
    (*KEY, "place"),
)  # fmt: skip

INFLUENCE = declare(
    "influence",
    "How much each study moves the headline.",
    (
        *STRATUM,
        DESIGN,
        column("study_id", WORD, "the study"),
        column("label", WORD, "author and year"),
        column("kind", WORD, "kind of result"),
        column("weight", NUMBER, "share of what is known of the mean"),
        column("shift_in_sd", NUMBER, "(mean - mean without it) / SD of the mean"),
        column("cook", NUMBER, "square of the shift"),
        column("tau_without", NUMBER, "median of tau without it", MODEL),
    ),
    (*KEY, "study_id"),
)

PRIOR_GRID = declare(
    "prior_grid",
    "The headline under other priors; r and SDs unknown, as in the headline.",
    (*STRATUM, DESIGN, column("mu_prior_sd", NUMBER, "SD of the prior of the mean", MODEL),
     column("tau_prior", WORD, "prior of the SD between studies"), *FIGURES[:3], FIGURES[5],
     column("p_good", NUMBER, "probability that the mean is on the good side"),
     column("log_marginal_likelihood", NUMBER, "log probability of the data")),
    (*KEY, "mu_prior_sd", "tau_prior"),
)  # fmt: skip

POWER_SCALING = declare(
    "power_scaling",
    "The headline with the prior or the likelihood raised to a power.",
    (*STRATUM, DESIGN, column("component", WORD, "prior or likelihood",
                              words=("prior", "likelihood")),
     column("alpha", NUMBER, "the power"), column("mean", NUMBER, "posterior mean", MODEL),
     column("sd", NUMBER, "posterior SD", MODEL),
     column("psense", NUMBER, "sensitivity per doubling of the power; 0.05 or more is sensitive")),
    (*KEY, "component", "alpha"),
)  # fmt: skip

BIAS_TO_NULLIFY = declare(
    "bias_to_nullify",
    "The bias, the same in every study, that would take the effect away.",
    (
        *STRATUM,
        DESIGN,
        column("bias_for_mean", NUMBER, "that brings the mean to no effect", MODEL),
        column("bias_for_interval", NUMBER, "that brings the nearer end of the interval there; 0 "
               "where it is there", MODEL),
        column("mean_in_bias_sds", NUMBER, "in SDs of the bias prior"),
        column("interval_in_bias_sds", NUMBER, "in SDs of the bias prior"),
        column("mean_in_change_sds", NUMBER, "in SDs of individual change"),
        column("interval_in_change_sds", NUMBER, "in SDs of individual change"),
        column("e_value_mean", NUMBER, "E-value; ratios only"),
        column("e_value_interval", NUMBER, "E-value of the interval; ratios only"),
    ),
    KEY,
)  # fmt: skip

MULTIVERSE = declare(
    "multiverse",
    "Every specification of each headline with its result; spec 0 is the headline.",
    (
        *STRATUM,
        column("spec", COUNT, "number of the specification"),
        *(column(choice, WORD, f"level of the choice {choice}", words=levels)
          for choice, levels in CHOICES.items()),
        *COUNTS,
        column("mean", NUMBER, "posterior mean", MODEL),
        column("ci_low", NUMBER, "lower end of the 95 % interval", MODEL),
        column("ci_high", NUMBER, "upper end of the 95 % interval", MODEL),
        column("p_good", NUMBER, "probability that the mean is on the good side"),
        column("conclusion", WORD, "interval beyond no effect on the good or bad side, open, or "
               "too few results", words=("good", "open", "harm", "too_few")),
    ),
    (*(c.name for c in STRATUM), "spec"),
)  # fmt: skip

MULTIVERSE_LEVELS = declare(
    "multiverse_levels",
    "The choices of the multiverse: their levels, and what each does.",
    (
        *STRATUM,
        column("choice", WORD, "the choice"),
        column("level", WORD, "its level"),
        column("meaning", WORD, "what it means"),
        column("offered", FLAG, "whether it changes this headline and leaves two results"),
        column("default", FLAG, "whether it is the headline's own"),
        column("n", COUNT, "usable specifications with it"),
        column("share_good_clear", NUMBER, "share of them whose interval is beyond no effect"),
        column("median_mean", NUMBER, "median of their means", MODEL),
    ),
    (*(c.name for c in STRATUM), "choice", "level"),
)

STANDING = declare(
    "standing",
    "Where each headline stands among all defensible analyses.",
    (
        *STRATUM,
        column("n_specs", COUNT, "specifications"),
        column("n_usable", COUNT, "of them with two results or more"),
        column("headline", NUMBER, "mean of the headline in the multiverse", MODEL),
        column("median", NUMBER, "median of the means", MODEL),
        column("low", NUMBER, "5 % point of the means", MODEL),
        column("high", NUMBER, "95 % point of the means", MODEL),
        column("least", NUMBER, "lowest mean", MODEL),
        column("most", NUMBER, "highest mean", MODEL),
        column("share_as_favourable", NUMBER, "share at least as favourable as the headline"),
        column("share_good_clear", NUMBER, "share whose interval is beyond no effect"),
        column("share_harm_clear", NUMBER, "share whose interval is on the bad side"),
        column(
            "share_clear_with_nulls",
            NUMBER,
            "the same where unreported registered trials are entered as nulls: a bound",
        ),
        column("strongest_choice", TEXT, "the choice that moves the means most"),
    ),
    tuple(c.name for c in STRATUM),
)

COMMON_EFFECT = declare(
    "common_effect",
    "Each headline with one common effect (tau = 0): apart, since heterogeneity is there.",
    (
        *STRATUM,
        column("mean", NUMBER, "posterior mean", MODEL),
        column("ci_low", NUMBER, "lower end of the 95 % interval", MODEL),
        column("ci_high", NUMBER, "upper end of the 95 % interval", MODEL),
    ),
    tuple(c.name for c in STRATUM),
)
