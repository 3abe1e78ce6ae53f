"""From an estimate, a claim, an effect, a raw row or a study to the facts behind it.

`walking` takes the steps, `phrases` says them. `isletmeta explain` prints them and the report's
tables open them on the page: both take them from here.
"""

from analysis.chain.phrases import figures, plain
from analysis.chain.walking import Chains

__all__ = ["Chains", "figures", "plain"]
