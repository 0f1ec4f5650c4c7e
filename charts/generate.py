# ruff: noqa: INP001  a script, no package
"""Writes the generated parts of the chart: its copy of the CustomResourceDefinition and the table of values in its README.

Helm never upgrades what lies in a chart's own `crds/` folder, so the copy is a template, which an upgrade does apply.
With `--check` nothing is written, and the exit status is 1 where a file is not current.
"""

import argparse
import re
import sys
from pathlib import Path

CHARTS = Path(__file__).resolve().parent
CHART = CHARTS / "wasession"
CRD = CHARTS.parent / "crds" / "whatsappsession.yaml"

CRD_HEADER = """\
{{- /* Generated from crds/whatsappsession.yaml by charts/generate.py; do not edit. */ -}}
{{- if .Values.crds.enabled }}
"""
CRD_NAME = "  name: whatsappsessions.wasession.dev\n"
CRD_METADATA = """\
  labels:
    {{- include "wasession.labels" (dict "root" . "component" "crd") | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""
CRD_FOOTER = "{{- end }}\n"

TABLE_BEGIN = "<!-- Generated from values.yaml by charts/generate.py; do not edit. -->\n"
TABLE_END = "<!-- End of the generated part. -->\n"
DESCRIPTION = re.compile(r"^ *# -- (?P<text>.+)$")
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):(?: &\w+)? ?(?P<value>.*)$")


def crd_template(crd: str) -> str:
    """The template for `crd`; ValueError where it cannot be made one."""
    if "{{" in crd:
        raise ValueError(f"{CRD} holds '{{{{', which Helm would read as a template: write it otherwise")
    if crd.count(CRD_NAME) != 1:
        raise ValueError(f"{CRD} must hold the line {CRD_NAME.strip()!r} exactly once, and holds it {crd.count(CRD_NAME)} times")
    return CRD_HEADER + crd.replace(CRD_NAME, CRD_NAME + CRD_METADATA) + CRD_FOOTER


def described_values(values: str) -> list[tuple[str, str, str]]:
    """Path, default and description of each key of `values` that has a `# --` comment above it.

    Reads the subset of YAML that values.yaml is written in: block mappings, a value on its key's line or in the deeper lines below.
    """
    found: list[tuple[str, str, str]] = []
    path: list[tuple[int, str]] = []
    text = ""
    lines = values.splitlines()
    for number, line in enumerate(lines):
        if description := DESCRIPTION.match(line):
            text = description["text"]
        elif key := KEY.match(line):
            indent = len(key["indent"])
            path = [(depth, name) for depth, name in path if depth < indent] + [(indent, key["key"])]
            if text:
                default = key["value"] or ", ".join(_deeper(lines[number + 1 :], indent))
                found.append((".".join(name for _, name in path), default, text))
            text = ""
    return found


def _deeper(lines: list[str], indent: int) -> list[str]:
    """The lines that belong to a key at `indent`, of those that follow it."""
    deeper = []
    for line in lines:
        if len(line) - len(line.lstrip()) <= indent:
            break
        deeper.append(line.strip())
    return deeper


def values_table(values: str) -> str:
    """The README's table of `values`."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    rows += [f"| `{path}` | `{default}` | {text.replace('|', chr(92) + '|')} |" for path, default, text in described_values(values)]
    return "\n".join(rows) + "\n"


def readme(current: str, values: str) -> str:
    """The README with its table made anew; ValueError where the marks of the table are not there."""
    before, begin, rest = current.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not (begin and end):
        raise ValueError(f"{CHART / 'README.md'} must hold the lines {TABLE_BEGIN.strip()!r} and {TABLE_END.strip()!r}")
    return f"{before}{begin}\n{values_table(values)}\n{end}{after}"


def generated() -> dict[Path, str]:
    """Each generated file with what it should hold."""
    readme_path = CHART / "README.md"
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    return {
        CHART / "templates" / "crd.yaml": crd_template(CRD.read_text(encoding="utf-8")),
        readme_path: readme(readme_path.read_text(encoding="utf-8"), values),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not current")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in generated().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        if check:
            print(f"{path} is not current: run python3 charts/generate.py", file=sys.stderr)  # noqa: T201  a script
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
