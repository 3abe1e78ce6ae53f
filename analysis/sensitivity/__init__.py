"""Sensitivity of the headline itself: refits by quadrature, words and unknown SDs included."""
