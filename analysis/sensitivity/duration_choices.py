"""The choices of the multiverse of durations: their levels, the headline's own first, and what
each does. Words alone, as in `effect_choices`."""

from analysis.vocabulary import CURVES

STACKED = "stacked"
READINGS = {
    "protocol": "facts as the protocol reads them",
    "ever_unknown": "number ever free not printed: nothing is known of it from other groups",
    "ever_printed": "studies that do not print how many were ever free left out",
    "longest_unfinished": "a longest duration that may have ended has not",
    "longest_ended": "a longest duration that may have ended has",
    "onset_at_once": "insulin stopped at treatment where the clock starts there",
}
TAU_PRIORS = {
    "half_normal": "prior of tau as in the headline",
    "narrow": "scale of the prior of tau halved",
    "wide": "scale of the prior of tau doubled",
}
CHOICES = {
    "family": {STACKED: "families weighed by how well each predicts a study left out",
               **{word: f"family of curves: {name}" for word, name in CURVES.items()}},
    "reading": READINGS,
    "tau_prior": TAU_PRIORS,
}  # fmt: skip
"""Choices that are combined. Leaving a study out is combined with none of them."""
