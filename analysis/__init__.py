"""isletmeta: can stem cells restore insulin in people with diabetes, for how long, at what risk?

The rooms, in the order imports may flow: vocabulary, units -> evidence -> cohorts -> effects,
durations, harms -> priors, exact, models -> sensitivity, crosscheck, claims -> pipeline -> report,
render -> cli. Nothing below knows anything above. See CONTRIBUTING.md for what each is for.
"""

__version__ = "0.1.0"
