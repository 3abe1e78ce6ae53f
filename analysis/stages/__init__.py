"""The stages of a run: each turns evidence into declared tables and estimates."""
