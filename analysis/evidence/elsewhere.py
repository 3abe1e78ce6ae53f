"""Sources outside the extract: what other fields of medicine taught about known harms.

Each was read at its address; they carry no number of this synthesis and stand in the bibliography
beside the studies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A source outside the extract: what it is cited for, the citation, title, address and DOI."""

    key: str
    what: str
    citation: str
    url: str
    title: str = ""
    doi: str = ""


OTHER_FIELDS = (
    Source(
        "barton2012",
        "serious harms under immunosuppression after transplantation of donor islets",
        "Barton FB et al. 2012, Diabetes Care 35:1436-1445, doi 10.2337/dc12-0063",
        "https://pmc.ncbi.nlm.nih.gov/articles/PMC3379615",
        doi="10.2337/dc12-0063",
    ),
    Source(
        "citr2009",
        "events judged related to immunosuppression in the first year after donor islets",
        "Collaborative Islet Transplant Registry 2009, Cell Transplantation 18(7), 2007 update",
        "http://www.ingentaconnect.com/content/cog/ct/2009/00000018/00000007/art00008",
        "2007 Update on Allogeneic Islet Transplantation From the Collaborative Islet Transplant "
        "Registry (CITR)",
    ),
    Source(
        "leger2004",
        "organ damage and life-threatening infection after high-dose conditioning",
        "Léger CS, Nevill TJ 2004, CMAJ 170:1569-1577",
        "https://cmaj.ca/content/170/10/1569.full.txt",
        "Hematopoietic stem cell transplantation: a primer for the primary care physician",
        "10.1503/cmaj.1011625",
    ),
    Source(
        "geabanacloche",
        "neutropenia after haematopoietic cell transplantation, which opens the way to infection",
        "Gea-Banacloche J, Risks and Epidemiology of Infections After Hematopoietic Stem Cell "
        "Transplantation, Springer, doi 10.1007/978-3-319-28797-3_6",
        "https://link.springer.com/chapter/10.1007%2F978-3-319-28797-3_6",
        "Risks and Epidemiology of Infections After Hematopoietic Stem Cell Transplantation",
        "10.1007/978-3-319-28797-3_6",
    ),
    Source(
        "bmt2022",
        "loss of ovarian function and infertility after haematopoietic cell transplantation",
        "The effect of hematopoietic stem cell transplantation on fertility and strategies for "
        "improvement 2022, Bone Marrow Transplantation, doi 10.1038/s41409-022-01792-6",
        "https://www.nature.com/articles/s41409-022-01792-6",
        "The effect of hematopoietic stem cell transplantation on fertility and strategies for "
        "improvement",
        "10.1038/s41409-022-01792-6",
    ),
)
"""What other fields of medicine taught about the harms; each was read at its address."""
