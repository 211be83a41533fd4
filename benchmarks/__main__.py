"""``python -m benchmarks [case ...]``: measure galeph and its peers, and write the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import harness, readme, report
from benchmarks.cases import load_cases
from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.model import Case, Disqualified, Plan, Round, Sample
from benchmarks.readme import RESULTS

_SHARES = ("server_busy", "load_busy", "idle_busy")


def main() -> None:
    cases = load_cases()
    arguments = _parse(cases)
    chosen = [cases[name] for name in arguments.cases or cases]
    if arguments.list:
        for case in chosen:
            print(f"{case.name:20} {case.title}: {', '.join(case.contenders)}")
        return
    if LOAD_CORE == SERVER_CORE:
        print("one core only: load and server share it; do not trust the ratios", file=sys.stderr)
    plan = _plan(arguments)
    if arguments.profile:
        _profile(chosen, arguments.profile, plan)
        return
    is_draft = arguments.quick or plan.only
    directory = arguments.output or (RESULTS / "draft" if is_draft else RESULTS)
    documents = []
    for case in chosen:
        print(f"{case.name}: {case.title}", file=sys.stderr, flush=True)
        try:
            document = harness.run(case, plan, _print_round)
        except Disqualified as verdict:
            print(f"  {verdict}", file=sys.stderr)
            continue
        report.write(directory, document, list(cases))
        documents.append(document)
    if documents and directory.resolve() == RESULTS.resolve():
        readme.write()
    print(report.table(documents))
    print(f"written to {directory}")


def _parse(cases: dict[str, Case]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="all of them when none is named")
    parser.add_argument("--rounds", type=int, default=7, help="rounds a case (default 7)")
    parser.add_argument("--seconds", type=float, default=4, help="a sample (default 4)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s, into results/draft")
    parser.add_argument("--only", action="append", default=[], metavar="CONTENDER", help="draft")
    parser.add_argument("--output", type=Path, help="the folder for the results")
    parser.add_argument("--list", action="store_true", help="show cases and contenders")
    parser.add_argument("--profile", metavar="CONTENDER", help="a flame graph of this one instead")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in cases]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(cases)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds must be at least 1 and --seconds more than 0")
    return arguments


def _plan(arguments: argparse.Namespace) -> Plan:
    only = frozenset(arguments.only)
    if arguments.quick:
        return Plan(rounds=2, seconds=1, warmup=1, only=only)
    return Plan(arguments.rounds, arguments.seconds, min(2, arguments.seconds), only)


def _profile(chosen: list[Case], contender: str, plan: Plan) -> None:
    directory = RESULTS / "draft"
    directory.mkdir(parents=True, exist_ok=True)
    for case in chosen:
        if contender in case.contenders:
            output = directory / f"profile-{case.name}-{contender.replace(' ', '-')}.svg"
            try:
                case.profile(contender, plan, str(output))
            except Disqualified as verdict:
                raise SystemExit(f"{contender}: {verdict}") from None
            print(f"written to {output}")


def _print_round(number: int, results: Round) -> None:
    """Show that something moves; of the many repeats of a micro case only the first."""
    if number > 1 and not any(_has_shares(result) for result in results.values()):
        return
    for name, result in results.items():
        text = result if isinstance(result, str) else _described(result)
        print(f"  {number}  {name:32} {text}", file=sys.stderr, flush=True)


def _has_shares(result: Sample | str) -> bool:
    return isinstance(result, Sample) and any(name in result.facts for name in _SHARES)


def _described(sample: Sample) -> str:
    shares = (f"{name} {sample.facts[name]:.0%}" for name in _SHARES if name in sample.facts)
    return f"{sample.rate:12,.0f}{sample.unit}  {', '.join(shares)}"


if __name__ == "__main__":
    main()
