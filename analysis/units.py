"""Units: C-peptide to nmol/L, HbA1c between NGSP and IFCC, glucose between mg/dL and mmol/L.

Every conversion here is linear, so it is kept as a `Scale` (slope and intercept): levels use both,
spreads and changes use the slope alone. Nothing here reads a table.

Sources. C-peptide: molar mass 3020 g/mol, so 1 ng/mL = 1000 / 3020 = 0.331 nmol/L. HbA1c: the
NGSP-IFCC master equation, NGSP (%) = 0.09148 * IFCC (mmol/mol) + 2.152 (Hoelzel et al. 2004, Clin
Chem 50:166). Glucose: molar mass 180.16 g/mol, so 1 mmol/L = 18.016 mg/dL.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

C_PEPTIDE_G_PER_MOL = 3020.0
GLUCOSE_G_PER_MOL = 180.16
NGSP_SLOPE, NGSP_INTERCEPT = 0.09148, 2.152

NMOL_PER_L = {
    "nmol/L": 1.0,
    "pmol/mL": 1.0,
    "pmol/L": 1e-3,
    "ng/mL": 1000.0 / C_PEPTIDE_G_PER_MOL,
}
"""nmol/L in one of each unit of C-peptide concentration."""

_AUC = re.compile(r"(?P<unit>[^*]+)\*(?P<minutes>\d*)min")


class UnitError(ValueError):
    """A unit that the outcome cannot have."""


@dataclass(frozen=True)
class Scale:
    """The straight line from a printed unit to ours: ours = slope * printed + intercept.

    `absolute` is False where the unit supports ratios only: an area under the curve without its
    duration, or insulin in IU/day without the body weight.
    """

    slope: float = 1.0
    intercept: float = 0.0
    absolute: bool = True

    def level(self, value: float) -> float:
        """A level in our unit."""
        return self.slope * value + self.intercept

    def difference(self, value: float) -> float:
        """A change or a spread in our unit."""
        return self.slope * value


def c_peptide_scale(unit: str) -> Scale:
    """From a C-peptide unit to nmol/L.

    An area under the curve with its duration (`ng/mL*120min`) is divided by the minutes to a mean
    concentration; without (`ng/mL*min`) it supports ratios only. Raises UnitError.
    """
    area = _AUC.fullmatch(unit)
    concentration = area["unit"] if area else unit
    if concentration not in NMOL_PER_L:
        raise UnitError(f"not a unit of C-peptide: {unit!r}")
    slope = NMOL_PER_L[concentration]
    if not area:
        return Scale(slope)
    if not area["minutes"]:
        return Scale(slope, absolute=False)
    minutes = int(area["minutes"])
    if minutes <= 0:
        raise UnitError(f"an area under the curve needs a positive duration: {unit!r}")
    return Scale(slope / minutes)


def c_peptide_to_nmol_per_l(value: float, unit: str) -> float:
    """A C-peptide concentration, or a mean concentration from an area, in nmol/L.

    NaN where the unit has no duration. Raises UnitError for an unknown unit.
    """
    scale = c_peptide_scale(unit)
    return scale.level(value) if scale.absolute else math.nan


def hba1c_scale(unit: str) -> Scale:
    """From an HbA1c unit (% or mmol/mol) to NGSP %. Raises UnitError."""
    if unit == "%":
        return Scale()
    if unit == "mmol/mol":
        return Scale(NGSP_SLOPE, NGSP_INTERCEPT)
    raise UnitError(f"not a unit of HbA1c: {unit!r}")


def ifcc_to_ngsp(mmol_per_mol: float) -> float:
    """HbA1c in NGSP % from IFCC mmol/mol."""
    return NGSP_SLOPE * mmol_per_mol + NGSP_INTERCEPT


def ngsp_to_ifcc(percent: float) -> float:
    """HbA1c in IFCC mmol/mol from NGSP %."""
    return (percent - NGSP_INTERCEPT) / NGSP_SLOPE


def glucose_to_mmol_per_l(mg_per_dl: float) -> float:
    """Glucose in mmol/L from mg/dL."""
    return mg_per_dl * 10.0 / GLUCOSE_G_PER_MOL


def glucose_to_mg_per_dl(mmol_per_l: float) -> float:
    """Glucose in mg/dL from mmol/L."""
    return mmol_per_l * GLUCOSE_G_PER_MOL / 10.0


def insulin_scale(unit: str) -> Scale:
    """From an insulin unit to IU/kg/day; IU/day supports ratios only. Raises UnitError."""
    if unit == "IU/kg/day":
        return Scale()
    if unit == "IU/day":
        return Scale(absolute=False)
    raise UnitError(f"not a unit of insulin dose: {unit!r}")


def scale(outcome: str, unit: str) -> Scale:
    """The line from the unit of an outcome of the evidence tables to ours.

    Ours: C-peptide nmol/L, HbA1c NGSP %, insulin IU/kg/day, time in range %, severe
    hypoglycaemia events. Raises UnitError.
    """
    if outcome.startswith("c_peptide"):
        return c_peptide_scale(unit)
    if outcome == "hba1c":
        return hba1c_scale(unit)
    if outcome == "insulin_dose":
        return insulin_scale(unit)
    if outcome == "time_in_range" and unit == "%":
        return Scale()
    if outcome == "severe_hypoglycaemia" and unit.startswith("events"):
        return Scale()
    raise UnitError(f"no conversion for {outcome} in {unit!r}")
