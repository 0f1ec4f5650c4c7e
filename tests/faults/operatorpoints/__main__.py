"""`python -m operatorpoints`: every point of every scenario; `POINT` arguments try these alone, and may end in `*`.

Ends with 1 if something did not hold. What a failed trial saw is kept beside the results, and its command is printed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from controlplane import control_plane

REPO = Path(__file__).parents[3]
sys.path.insert(0, str(REPO / "tests" / "integration" / "operator"))  # test folders are no packages


def main() -> int:
    """The command line."""
    from operatorpoints.campaign import Campaign  # noqa: PLC0415  needs the path above

    parser = argparse.ArgumentParser(prog="python -m operatorpoints", description="Breaks the operator's world at every point.")
    parser.add_argument("points", nargs="*", help="these points alone, as create/kill-after/3; * stands for anything")
    parser.add_argument("--lanes", type=int, default=4, help="trials side by side (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="each write in every way that it can fail, not in one")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no trial after this time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path(".bench/faults-operator.json"), help="default: %(default)s")
    arguments = parser.parse_args()
    campaign = Campaign(arguments.results.with_suffix(""), tuple(arguments.points), arguments.seconds, arguments.all)
    given = os.environ.get("FAULTS_KUBECONFIG")
    with tempfile.TemporaryDirectory() as scratch:
        server = nullcontext(Path(given)) if given else control_plane(REPO, Path(scratch) / "cluster")
        with server as kubeconfig:
            asyncio.run(campaign.lead(kubeconfig, Path(scratch), arguments.lanes))
    print(campaign.tally.table())
    if not arguments.points:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(campaign.tally.results(), indent=2) + "\n")
    print("\n".join(f"replay: make faults-operator POINT='{point}'" for point in campaign.tally.failed_points()))
    return 1 if campaign.tally.failed_points() else 0


if __name__ == "__main__":
    sys.exit(main())
