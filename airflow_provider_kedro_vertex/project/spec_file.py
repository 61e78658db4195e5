"""A PipelineSpec as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUFFIXES = (".json", ".yaml", ".yml")

_NO_FOLDING = 2**31 - 1


def spec_text(spec: dict[str, Any], path: Path) -> str:
    """Write a spec as YAML when ``path`` says so, otherwise as JSON. Equal specs give equal text."""
    if path.suffix in (".yaml", ".yml"):
        import yaml

        # libyaml's writer, where PyYAML has it, is ten times faster. Without folding both write a spec alike.
        dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return str(yaml.dump(spec, Dumper=dumper, sort_keys=False, width=_NO_FOLDING))
    return json.dumps(spec, indent=1) + "\n"
