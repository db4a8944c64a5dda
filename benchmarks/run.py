"""Run the benchmarks on a log: tables on stdout, figures in ``results.json`` beside this file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import backtest_cost

RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="an accounting log")
    parser.add_argument("--blocks", type=int, default=24, help="how often a backtest trains")
    asked = parser.parse_args()
    cost = backtest_cost.measure(asked.data, asked.blocks)
    print(backtest_cost.table(cost))
    RESULTS.write_text(json.dumps({"data": asked.data.name, "backtest_cost": cost}, indent=2) + "\n", "utf-8")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    main()
