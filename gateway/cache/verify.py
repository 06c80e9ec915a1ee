from typing import Any


def check(query: str, cached: str) -> Any:
    return None
