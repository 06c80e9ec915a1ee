"""What dominates: a profile's own times by package and by function. Pure."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath
from typing import Any

from nexus.instance import ROOT

# Where the profiled gateway tells its figures.
PATH = "/bench/profile"
PACKAGES, FUNCTIONS = 10, 12
# As pstats keeps it: file, line, name → calls without recursion, calls, own time, time with callees, callers.
Function = tuple[str, int, str]
Stats = dict[Function, tuple[Any, ...]]


def of(stats: Stats) -> dict[str, Any]:
    """Shares of all own time, largest first, as (name, share). Time in C counts for the Python code that called it."""
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for function, (_, _, own_s, _, callers) in stats.items():
        functions[_label(function)] += own_s
        if function[0] != "~" or not callers:
            packages[package(function[0])] += own_s
            continue
        for (file, _, _), (_, _, own_of_caller_s, _) in callers.items():
            packages[package(file)] += own_of_caller_s
    total_s = sum(functions.values()) or 1.0
    return {
        "packages": [(name, own_s / total_s) for name, own_s in packages.most_common(PACKAGES)],
        "functions": [(name, own_s / total_s) for name, own_s in functions.most_common(FUNCTIONS)],
    }


def package(file: str) -> str:
    """`gateway/cache`, `aiohttp`, `python asyncio`; what C calls without Python between is the loop's."""
    if file == "~":
        return "the loop, in C"
    parts = PurePath(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if PurePath(file).is_relative_to(ROOT):
        folder = PurePath(file).relative_to(ROOT).parent
        return "/".join(folder.parts[:2])
    if file.startswith("<"):
        return "generated code"
    found = re.search(r"/python3[.\d]*/(.+)", file)
    return f"python {found[1].split('/')[0].removesuffix('.py')}" if found else file


def _label(function: Function) -> str:
    file, line, name = function
    if file == "~":
        return re.sub(r" at 0x[0-9a-f]+", "", name)
    return f"{package(file)} {PurePath(file).name}:{line} {name}"


def table(mode: str, figures: dict[str, Any]) -> str:
    rows = [f"{mode}: own time by package, and by function"]
    packages, functions = figures["packages"], figures["functions"]
    for at in range(max(len(packages), len(functions))):
        left = f"{packages[at][1]:6.1%}  {packages[at][0]}" if at < len(packages) else ""
        right = f"{functions[at][1]:6.1%}  {functions[at][0]}" if at < len(functions) else ""
        rows.append(f"  {left:38}{right}".rstrip())
    return "\n".join(rows)
