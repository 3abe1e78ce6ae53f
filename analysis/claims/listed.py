"""The claims: one row each, with what it says, of whom, by which figure, beyond what."""

from __future__ import annotations

from analysis.claims.asking import (
    GROWN_ISLETS,
    SHORT,
    SMALL,
    Claim,
    capsule_alone,
    effect,
    known_harm,
    lasts,
    more_than_controls,
    no_tumours,
    not_standardised,
    occurs,
    outside,
    small_and_short,
    trials_needed,
    types_differ,
    under_way,
)
from analysis.verdicts import (
    BEYOND,
    DESCRIPTION,
    DURATION,
    EFFECT,
    KNOWN_HARM,
    NO_HARM,
    OCCURRENCE,
)
from analysis.vocabulary import INFUSION, ISLETS, RESET


def _lasting(
    id: str, claim: str, short: str, approach: str, month: int, implies: tuple[str, ...] = ()
) -> Claim:
    return Claim(id, claim, short, DURATION, approach, "t1d",
                 f"share still insulin-free at {month} months", "above 50 %", lasts(month),
                 implies=implies)  # fmt: skip


def _without_tumours(id: str, claim: str, short: str, approach: str) -> Claim:
    return Claim(id, claim, short, NO_HARM, approach, "all", "rate of malignancy or tumour",
                 "below 1 per 100 patient-years", no_tumours)  # fmt: skip


CLAIMS = (
    Claim("islets_c_peptide", "Islets made from stem cells make C-peptide in people who made none",
          "stem-cell islets make C-peptide", OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide who had none before",
          "three patients of one cohort",
          occurs("c_peptide_detectable", classes=GROWN_ISLETS),
          implies=("proof_of_concept",)),
    Claim("progenitors_c_peptide", "Progenitor cells that are to become islets in the body make "
          "C-peptide in people who made none", "progenitors make C-peptide", OCCURRENCE, ISLETS,
          "t1d", "patients with detectable C-peptide who had none before",
          "three patients of one cohort",
          occurs("c_peptide_detectable", classes=("psc_progenitor",)),
          implies=("proof_of_concept",)),
    Claim("proof_of_concept", "Making insulin anew with stem cells is possible in people: the "
          "proof of concept is given", "proof of concept", OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide who had none before", "three patients of one cohort",
          occurs("c_peptide_detectable"),
          ("that it is possible does not say for how many, how long, or at what price",)),
    Claim("islets_insulin_free", "After islets made from stem cells some people need no insulin "
          "for a time", "stem-cell islets: some insulin-free", OCCURRENCE, ISLETS, "t1d",
          "patients ever free of insulin whose C-peptide was undetectable before",
          "three patients of one cohort", occurs("ever_insulin_free", classes=GROWN_ISLETS),
          ("people were selected for severe hypoglycaemia and take immunosuppressants",)),
    Claim("islets_dose", "Islets made from stem cells lower the insulin dose",
          "islets lower insulin", EFFECT, ISLETS, "t1d",
          "ratio of insulin dose against controls", "below 1",
          effect("insulin_dose")),
    _lasting("islets_1_year", "For most who become insulin-free after islet replacement, it lasts "
             "one year", "islets: lasts 1 year", ISLETS, 12),
    _lasting("islets_5_years", "For most who become insulin-free after islet replacement, it lasts "
             "five years", "islets: lasts 5 years", ISLETS, 60, ("islets_1_year",)),
    Claim("reset_insulin_free", "An immune reset soon after diagnosis frees people from insulin "
          "who would otherwise need it", "immune reset: insulin-free", EFFECT, RESET, "t1d",
          "share ever free of insulin against controls", "risk ratio above 1",
          more_than_controls("ever_insulin_free"),
          ("soon after diagnosis some need little insulin for a time anyway",)),
    _lasting("reset_5_years", "For most who become insulin-free after an immune reset, it lasts "
             "five years", "immune reset: lasts 5 years", RESET, 60, ("reset_1_year",)),
    _lasting("reset_10_years", "For most who become insulin-free after an immune reset, it lasts "
             "ten years", "immune reset: lasts 10 years", RESET, 120, ("reset_5_years",)),
    _lasting("reset_1_year", "For most who become insulin-free after an immune reset, it lasts "
             "one year", "immune reset: lasts 1 year", RESET, 12),
    Claim("infusion_t1d_c_peptide", "Infused cells preserve C-peptide in type 1 diabetes",
          "T1D infusion: C-peptide", EFFECT, INFUSION, "t1d",
          "ratio of C-peptide against controls", "above 1",
          effect("c_peptide_ratio")),
    Claim("infusion_t1d_hba1c", "Infused cells lower HbA1c in type 1 diabetes",
          "T1D infusion: HbA1c", EFFECT, INFUSION, "t1d",
          "difference of HbA1c against controls", "below 0 points",
          effect("hba1c")),
    Claim("infusion_t2d_hba1c", "Infused cells lower HbA1c in type 2 diabetes",
          "T2D infusion: HbA1c", EFFECT, INFUSION, "t2d",
          "difference of HbA1c against controls", "below 0 points",
          effect("hba1c")),
    Claim("infusion_t2d_hba1c_0_5", "Infused cells lower HbA1c in type 2 diabetes by half a point "
          "or more", "T2D infusion: HbA1c by 0.5", EFFECT, INFUSION, "t2d",
          "difference of HbA1c against controls", "below −0.5 points",
          effect("hba1c", -0.5), implies=("infusion_t2d_hba1c",)),
    Claim("infusion_t2d_c_peptide", "Infused cells raise C-peptide in type 2 diabetes",
          "T2D infusion: C-peptide", EFFECT, INFUSION, "t2d",
          "ratio of C-peptide against controls", "above 1",
          effect("c_peptide_ratio")),
    Claim("infusion_t2d_dose", "Infused cells lower the insulin dose in type 2 diabetes",
          "T2D infusion: insulin dose", EFFECT, INFUSION, "t2d",
          "ratio of insulin dose against controls", "below 1",
          effect("insulin_dose")),
    Claim("infusion_t2d_stop", "Infused cells let people with type 2 diabetes stop insulin who "
          "would otherwise need it", "T2D infusion: stop insulin", EFFECT, INFUSION, "t2d",
          "share ever free of insulin against controls", "risk ratio above 1",
          more_than_controls("ever_insulin_free"),
          ("weight, diet and tablets also free people with type 2 diabetes of insulin",)),
    _without_tumours("islets_no_tumours", "Islet replacement adds no tumours",
                     "islets: no tumours", ISLETS),
    _without_tumours("reset_no_tumours", "An immune reset adds no tumours",
                     "immune reset: no tumours", RESET),
    _without_tumours("infusion_no_tumours", "Infused cells add no tumours",
                     "infusion: no tumours", INFUSION),
    Claim("immunosuppression_infection", "Immunosuppression carries a risk of infection",
          "immunosuppression: infection", KNOWN_HARM, ISLETS, "all",
          "severe infections counted here; other fields", "",
          known_harm("severe_infection")),
    Claim("conditioning_harms", "Conditioning carries a risk of infection and infertility",
          "conditioning: infection, infertility", KNOWN_HARM, RESET, "all",
          "severe infections and impaired fertility counted here; other fields", "",
          known_harm("severe_infection", "impaired_fertility")),
    Claim("capsule_instead", "A capsule can replace immunosuppression", "capsule, no drugs",
          OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide, capsule alone", "three patients of one cohort",
          occurs("c_peptide_detectable", undetectable=False, studies=capsule_alone)),
    Claim("small_short", "Trials are small and short", "small, short trials",
          DESCRIPTION, "all", "all",
          f"share of cohorts with fewer than {SMALL} treated, followed for {SHORT} months or less",
          "above 50 %", small_and_short,
          ("main reports of eligible cohorts only",)),
    Claim("not_standardised", "Protocols are not standardised", "protocols differ", DESCRIPTION,
          "all", "all", "most frequent combination of cells, donor and route",
          "under half of the cohorts", not_standardised),
    Claim("types_differ", "Results differ between type 1 and type 2 diabetes", "types differ",
          EFFECT, INFUSION, "all", "difference of the HbA1c means of the two types",
          "more than 0.3 points apart", types_differ),
    Claim("trials_needed", "Large, multi-centre randomised trials are needed",
          "large trials needed", DESCRIPTION, "all", "all",
          "headlines whose randomised evidence has fewer than 400 patients",
          "above 50 % of the headlines", trials_needed),
    Claim("trials_to_follow", "There are genuine trials to stay informed about",
          "genuine trials exist", DESCRIPTION, "all", "all",
          "registered trials under way", "at least one", under_way),
    Claim("scale_cost", "The treatments are hard to scale and costly", "scale and cost", BEYOND,
          "all", "all", "neither is in these data", "", outside),
)  # fmt: skip

IMPLIES = tuple((claim.id, implied) for claim in CLAIMS for implied in claim.implies)
"""Pairs (stronger claim, what it implies)."""
