"""``lint``: check a bundle against the documented rules of its target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import HALF_GRAPH, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.lint.check import bundle_rules, find_violations


def lint_bundle(path: Path, console: Console) -> dict[str, Any]:
    """Check a bundle, and report every violation.

    Returns:
        For JSON: the bundle, its target, the rules, the violations, and ``fits``, which is False after an
        error and True after warnings alone.

    Raises:
        BundleError: no bundle, or a damaged one.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    rules = bundle_rules(manifest)
    graphs = [manifest.graph, *({HALF_GRAPH} & manifest.files.keys())]
    violations = [each for graph in graphs for each in find_violations(path / graph, rules)]
    for violation in violations:
        (console.warn if violation.warns else console.fault)(violation.sentence)
    errors = sum(not violation.warns for violation in violations)
    verdict = f"breaks {errors} times" if errors else "keeps"
    console.say(f"{path} {verdict} the {len(rules)} rules of {manifest.target} for {' and '.join(graphs)}")
    return {
        "bundle": str(path),
        "name": manifest.name,
        "target": manifest.target,
        "precision": manifest.precision,
        "fits": not errors,
        "rules": [rule.name for rule in rules],
        "violations": [
            {
                "rule": violation.rule,
                "node": violation.node,
                "found": violation.found,
                "wants": violation.wants,
                "source": violation.source,
                "severity": "warning" if violation.warns else "error",
            }
            for violation in violations
        ],
    }
