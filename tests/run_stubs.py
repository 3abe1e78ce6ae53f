"""`isletmeta` with stub stages: `python run_stubs.py FUNCTION,FUNCTION run --raw ... --out ...`."""

import signal
import sys
from functools import partial

import stub_stages

from analysis import cli, pipeline

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in the background
    functions = sys.argv.pop(1).split(",")
    stages = tuple(stub_stages.stage(f, f"{f}_{i}") for i, f in enumerate(functions))
    pipeline.run = partial(pipeline.run, stages=stages)
    cli.main()
