"""What the synthesis writes: certainty with its steps, claims with their verdicts."""

from __future__ import annotations

from analysis import certainty, verdicts
from analysis.results.contract import COUNT, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import APPROACHES, POPULATIONS, STRATUM

CERTAINTY = declare(
    "certainty",
    "How sure the evidence of each headline is (GRADE as the protocol fixes it).",
    (
        *STRATUM,
        column("estimate_id", WORD, "the estimate judged"),
        column("design", WORD, "the row judged: randomised where that has two results"),
        column("level", WORD, "certainty", words=certainty.LEVELS),
        column("levels_down", COUNT, "steps down"),
        column("levels_up", COUNT, "steps up"),
        column("reasons", TEXT, "the steps taken, in words"),
    ),
    ("estimate_id",),
)

CERTAINTY_STEPS = declare(
    "certainty_steps",
    "Every domain of every judgement of certainty: one row a domain.",
    (
        column("estimate_id", WORD, "the estimate judged"),
        column("domain", WORD, "what was looked at", words=certainty.DOMAINS),
        column("levels", NUMBER, "levels up or (negative) down; at `start` the level begun with"),
        column("reason", WORD, "why"),
    ),
    ("estimate_id", "domain"),
)

CLAIMS = declare(
    "claims",
    "Public claims and their verdicts.",
    (
        column("claim_id", WORD, "short name of the claim"),
        column("group", WORD, "shown, suggested, not_known or not_so: where the page lists it"),
        column("claim", WORD, "the claim in a sentence"),
        column("short", WORD, "the claim in few words"),
        column("kind", WORD, "which rule gives the verdict", words=verdicts.KINDS),
        column("approach", WORD, "what is done", words=APPROACHES),
        column("population", WORD, "to whom", words=POPULATIONS),
        column("estimand", WORD, "what decides it"),
        column("threshold", TEXT, "beyond what"),
        column(
            "estimate_ids",
            TEXT,
            "estimates it rests on, or the question where no mean is told, separated by spaces",
        ),
        column("source_rows", TEXT, "rows of the evidence it rests on, separated by `;`"),
        column("probability", NUMBER, "that the claim is true, where there is one"),
        column("certainty", TEXT, "certainty of the evidence, where it can be judged"),
        column("verdict", WORD, "the word", words=verdicts.WORDS),
        column("capped_by", TEXT, "what capped or decided the word"),
        column("k_studies", COUNT, "studies behind it, or what `k_what` says"),
        column(
            "k_what",
            WORD,
            "what `k_studies` counts",
            words=("study", "cohort", "headline", "trial"),
        ),
        column("n_patients", COUNT, "patients behind it"),
        column("n_seen", COUNT, "patients in whom it was seen, where it is counted"),
        column(
            "counted",
            TEXT,
            "counts part by part (classes of cells, harms, arms) as "
            "`part=k/n`, `part>=k/n` where it is a lower bound, separated by `;`",
        ),
        column("value", NUMBER, "the figure that decides it, as readers see it"),
        column("ci_low", NUMBER, "its 95 % interval"),
        column("ci_high", NUMBER, "its 95 % interval"),
        column("unit", TEXT, "unit of the figure"),
        column("n_analyses", COUNT, "of an effect: defensible analyses of its headline"),
        column("share_as_favourable", NUMBER, "share of them at least as favourable as it"),
        column(
            "share_beyond",
            NUMBER,
            "share of them whose 95 % interval lies beyond the claim's threshold",
        ),
        column("caveat", TEXT, "what a reader must know"),
    ),
    ("claim_id",),
)
