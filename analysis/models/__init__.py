"""One module per question; `sampling` is the only caller of a sampler."""
