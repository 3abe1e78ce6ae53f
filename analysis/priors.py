"""Every prior in one table, with its reason. Models read their scales here and nowhere else.

Scales are given on each outcome's own scale. The priors are weakly informative: wide enough for
any effect a diabetologist would believe, narrow enough that one small study cannot move a class
by an impossible amount. Where a posterior is mostly its prior, the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Prior:
    """One prior: `params` are the numbers of the distribution, in the order it names them."""

    model: str
    parameter: str
    distribution: str
    params: tuple[float, ...]
    unit: str
    reason: str
    source: str = "chosen by the authors"

    @property
    def scale(self) -> float:
        """The last number: the spread of the distribution."""
        return self.params[-1]

    def __str__(self) -> str:
        return f"{self.distribution}({', '.join(f'{value:g}' for value in self.params)})"


RHODES = "Rhodes et al. 2015, J Clin Epidemiol 68:52-60, Table 3 (as coded in R package bayesmeta)"


def _change(
    outcome: str, unit: str, mu: float, tau: float, tau_class: float, bias: float, slope: float,
    log_sd: float,
) -> tuple[Prior, ...]:  # fmt: skip
    """The priors of one continuous outcome; `log_sd` is the centre of the log change SD."""
    rows = (
        ("mu", "Normal", (0, mu), "no direction favoured; large published effects lie within 2 SD"),
        ("tau", "HalfNormal", (tau,), "between studies of one class: differences as large as the "
         "effects themselves are allowed; wider in its centre than the empirical prior of "
         "standardised heterogeneity, as these studies differ in cells, patients and follow-up"),
        ("tau_class", "HalfNormal", (tau_class,), "between cell classes; with about one study a "
         "class this stays near its prior, so it is kept moderate"),
        ("bias", "Normal", (0, bias), "difference of uncontrolled from controlled studies: "
         "honeymoon, better care, regression to the mean; either sign"),
        ("type_effect", "Normal", (0, bias), "type 2 against type 1 diabetes; either sign, as "
         "large as the design bias"),
        ("slope", "Normal", (0, slope), "per unit of log(months / 12); all effects lie within 6 to "
         "18 months"),
        ("measure", "Normal", (0, bias), "fasting (or unstated) against stimulated C-peptide"),
        ("log_sd", "Normal", (log_sd, 0.7), "centre of the log SD of individual change; learnt "
         "from the studies that print a spread"),
    )  # fmt: skip
    return tuple(Prior(outcome, name, d, p, unit, why) for name, d, p, why in rows)


CHANGE = (
    *_change("c_peptide_ratio", "log ratio", 1.0, 0.5, 0.4, 0.4, 0.3, -0.4),
    *_change("c_peptide_gain", "nmol/L", 0.5, 0.25, 0.2, 0.2, 0.15, -1.4),
    *_change("hba1c", "percentage points", 2.0, 0.75, 0.5, 0.5, 0.4, 0.2),
    *_change("insulin_dose", "log ratio", 1.0, 0.5, 0.4, 0.4, 0.3, -0.7),
    *_change("insulin_dose_abs", "IU/kg/day", 0.4, 0.2, 0.15, 0.15, 0.1, -1.4),
    *_change("time_in_range", "percentage points", 30.0, 12.0, 8.0, 8.0, 6.0, 2.7),
    *_change("severe_hypoglycaemia", "events/patient-year", 3.0, 1.0, 0.7, 0.7, 0.5, 0.7),
    Prior("change", "r", "TruncatedNormal(-0.95, 0.95)", (0.4, 0.3), "correlation",
          "pre-post correlation; printed p-values of these trials imply 0.6, 0.4, 0.2, 0.0 and "
          "-0.1", "the evidence itself, recovered from p-values"),
    Prior("change", "log_sd_spread", "HalfNormal", (0.5,), "log SD",
          "studies' change SDs differ by a factor of about two"),
    Prior("heterogeneity", "smd", "LogStudentT of tau^2, 5 degrees of freedom", (-3.27, 2.66),
          "squared SDs", "empirical: biological markers, non-pharmacological treatments; median "
          "tau 0.195 SD, to be multiplied by the SD of change; for comparison and sensitivity",
          RHODES),
    Prior("heterogeneity", "smd_any", "LogStudentT of tau^2, 5 degrees of freedom", (-3.44, 2.59),
          "squared SDs", "empirical: any outcome and comparison; median tau 0.18 SD; for "
          "comparison and sensitivity", RHODES),
)  # fmt: skip

INDEPENDENCE = (
    Prior("ever_independent", "mu", "Normal", (0, 1.5), "log odds",
          "any probability from 5 to 95 % is plausible"),
    Prior("ever_independent", "tau", "HalfNormal", (1.0,), "log odds",
          "between studies: odds may differ several-fold"),
    Prior("ever_independent", "tau_class", "HalfNormal", (1.0,), "log odds",
          "between cell classes: odds may differ several-fold"),
    Prior("ever_independent", "moderator", "Normal", (0, 1.0), "log odds",
          "diabetes type, onset, conditioning, control group: odds may differ several-fold"),
    Prior("duration", "mu", "Normal", (3.2, 1.0), "log months",
          "median log scale: e^3.2 is about two years; 95 % from 3 months to 15 years"),
    Prior("duration", "tau", "HalfNormal", (0.5,), "log months",
          "between studies: durations differ by a factor of about two"),
    Prior("duration", "tau_class", "HalfNormal", (0.5,), "log months",
          "between cell classes: as between studies"),
    Prior("duration", "log_shape", "Normal", (0.0, 0.4), "log shape",
          "hazard falling, constant or rising; shape 0.45 to 2.2"),
    Prior("duration", "logit_cure", "Normal", (-1.5, 1.0), "log odds",
          "share never resuming, where the family has one: centre 18 %, 95 % from 3 to 61 %"),
    Prior("duration", "onset", "LogNormal (fixed)", (0.0, 1.2), "log months",
          "treatment to freedom from insulin, where time counts from treatment: median 1 month, "
          "95 % from 3 days to 10 months",
          "onsets printed by reports of an immune reset: 3 to 20 days, 5 to 114 days, 2 weeks to "
          "6 months, up to 12 months"),
    Prior("duration", "mean_reading", "Normal (fixed)", (0.0, 0.25), "log months",
          "how far a printed mean with censoring not described may lie from the restricted mean"),
)  # fmt: skip

SAFETY = (
    Prior("safety", "mu", "Normal", (-3.5, 2.0), "log rate per patient-year",
          "centre 3 per 100 patient-years; 95 % from 0.05 to over 100; for a risk: log of the "
          "hazard over the whole follow-up, centre 3 %"),
    Prior("safety", "tau", "HalfNormal", (0.7,), "log rate",
          "between studies; a few events cannot identify it, so it is kept moderate"),
    Prior("safety", "tau_class", "HalfNormal", (0.7,), "log rate",
          "between cell classes: as between studies"),
    Prior("safety", "type_effect", "Normal", (0, 0.7), "log rate",
          "type 2 against type 1 diabetes; either sign, as large as between studies"),
    Prior("safety", "strategy", "Normal", (0, 1.0), "log rate",
          "each immune strategy around their mean; conditioning and immunosuppression may change a "
          "rate tenfold"),
)  # fmt: skip


PSMA = "RoBMA-PSMA: Bartos et al. 2023, Res Synth Methods 14:99, Appendix B"

SELECTION = (
    Prior("selection", "included", "Bernoulli", (0.5,), "probability",
          "each of effect, heterogeneity and bias is present or absent with even odds; the half "
          "for bias is shared by six weight functions (1/2), PET (1/4) and PEESE (1/4)", PSMA),
    Prior("selection", "weights", "uniform Dirichlet of the steps", (1,), "relative probability "
          "of publication", "falls with the p-value in steps; every step equally likely a priori",
          PSMA),
    Prior("selection", "pet", "HalfCauchy", (1.0,), "y per standard error",
          "slope on the standard error; bias in the favoured direction only", PSMA),
    Prior("selection", "peese", "HalfCauchy", (5.0,), "y per squared standard error, in SDs of "
          "individual change", "slope on the variance; divided by the SD of change of the outcome "
          "(as its prior has it) to be on the outcome's scale", PSMA),
)  # fmt: skip

SENSITIVITY = (
    Prior("sensitivity", "mu_sceptical", "Normal", (0, 0.5), "SDs of the outcome's prior of mu",
          "a reader who expects small effects: the headline's prior with half the SD"),
    Prior("sensitivity", "mu_wide", "Normal", (0, 5.0), "SDs of the outcome's prior of mu",
          "a prior that says nearly nothing, and stays proper with two studies"),
    Prior("sensitivity", "tau_narrow", "HalfNormal", (0.5,), "scales of the outcome's prior of tau",
          "studies more alike than the headline allows"),
    Prior("sensitivity", "tau_half_cauchy", "HalfCauchy", (0.5,),
          "scales of the outcome's prior of tau", "most mass near small heterogeneity, a heavy "
          "tail for a large one", "Gelman 2006, Bayesian Analysis 1:515-534"),
    Prior("sensitivity", "effect_df", "StudentT (fixed)", (4.0,), "degrees of freedom",
          "heavy-tailed random effects that let one odd study be odd"),
)  # fmt: skip

PRIORS = CHANGE + INDEPENDENCE + SAFETY + SELECTION + SENSITIVITY


def get(model: str, parameter: str) -> Prior:
    """The prior of a parameter. Raises KeyError when there is none."""
    for prior in PRIORS:
        if (prior.model, prior.parameter) == (model, parameter):
            return prior
    raise KeyError(f"no prior for {model}.{parameter}")


def table() -> pd.DataFrame:
    """All priors as a table for the report."""
    return pd.DataFrame(
        {
            "model": prior.model,
            "parameter": prior.parameter,
            "prior": str(prior),
            "unit": prior.unit,
            "reason": prior.reason,
            "source": prior.source,
        }
        for prior in PRIORS
    )
