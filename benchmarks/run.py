"""Run the benchmarks: one by its name, in full; without a name all of them, at sizes that take some minutes.

Tables go to stdout, figures into ``results.json`` beside this file. ``document`` writes the tables of the last full
runs into docs/reference/benchmarks.md.
"""

from __future__ import annotations

import sys

import backtest_cost
import growth
import options
import peer
import serving
import soak
from results import SMALL, Benchmark, read
from tables import fill

BENCHMARKS: dict[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK for module in (backtest_cost, growth, peer, options, serving, soak)
}


def document() -> None:
    """Write the tables of what was measured last into the document."""
    known = read()
    for name, benchmark in BENCHMARKS.items():
        if name in known:
            fill(name, benchmark.text(known[name]))
            print(f"filled in {name}")


def main() -> None:
    """Do what was asked for."""
    name, *given = sys.argv[1:] or [""]
    if name in BENCHMARKS:
        BENCHMARKS[name].main(given)
    elif name == "document":
        document()
    elif not name:
        for benchmark in BENCHMARKS.values():
            print(f"\n{benchmark.name}", flush=True)
            benchmark.main(benchmark.small, benchmark.name + SMALL)
    else:
        print(f"{__doc__}\nusage: run.py [{'|'.join([*BENCHMARKS, 'document'])}] [options]; NAME --help lists them")
        raise SystemExit(0 if name in {"-h", "--help"} else 2)


if __name__ == "__main__":
    main()
