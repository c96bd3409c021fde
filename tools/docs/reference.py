"""Write the generated parts of ``docs/reference/``: verbs, manifest, settings, result lines.

    python -m tools.docs.reference            # rewrites what is out of date
    python -m tools.docs.reference --check    # names it, and exits with 1

A page keeps its own prose; what lies between a ``generated: NAME`` comment and the next ``end`` comment is
replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tools.docs.manifest_page import manifest_tables
from tools.docs.results_page import result_table
from tools.docs.settings_page import recipe_sections, settings_tables
from tools.docs.verbs_page import verb_sections

PAGES = Path(__file__).parents[2] / "docs" / "reference"
PARTS: dict[str, Callable[[], str]] = {
    "verbs": verb_sections,
    "manifest": manifest_tables,
    "settings": settings_tables,
    "recipes": recipe_sections,
    "result-line": result_table,
}
_PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(page: str) -> str:
    """The text of a page with every generated part as the code has it now."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part['name']]().strip()}\n\n{part[3]}", page)


def stale() -> dict[Path, str]:
    """Pages that differ from what the code says, with the text they should have."""
    wanted = {path: renewed(path.read_text("utf-8")) for path in sorted(PAGES.glob("*.md"))}
    return {path: text for path, text in wanted.items() if text != path.read_text("utf-8")}


def main() -> int:
    """Rewrite, or with ``--check`` name, what is out of date."""
    parser = argparse.ArgumentParser(description="Renew the generated parts of docs/reference/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    check: bool = parser.parse_args().check
    pages = stale()
    for path, text in pages.items():
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path}\n")
        if not check:
            path.write_text(text, "utf-8")
    return 1 if check and pages else 0


if __name__ == "__main__":
    sys.exit(main())
