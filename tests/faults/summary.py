"""`python tests/faults/summary.py`: the results of `make faults` in one table and one file, `.bench/faults.json`."""

import json
import sys
from pathlib import Path

PARTS = ("pod", "walks", "operator")
BENCH = Path(".bench")


def main() -> int:
    """Ends with 1 if a part has no results or missed a goal."""
    rows, missing = [], []
    for part in PARTS:
        results = BENCH / f"faults-{part}.json"
        if results.exists():
            rows += [row | {"metric": f"{part}: {row['metric']}"} for row in json.loads(results.read_text())]
        else:
            missing.append(part)
    (BENCH / "faults.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(f"{'faults':<60}{'ours':>8}{'goal':>8}")
    for row in rows:
        print(f"{row['metric']:<60}{row['ours']:>8g}{row['goal']:>8g}{'' if row['met'] else '  MISSED'}")
    for part in missing:
        print(f"{part}: no results")
    return 1 if missing or not all(row["met"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
