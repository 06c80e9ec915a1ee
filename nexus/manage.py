"""`bin/manage`: Django's commands with the settings of this folder's copy, whose services must be up."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from nexus import env, stack
from nexus.embedded import Postgres, Redis
from nexus.instance import Instance, var_folder
from nexus.preflight import Trouble


def main(arguments: list[str]) -> int:
    instance = Instance(var_folder())
    try:
        os.environ.update(stack.base_environment(instance))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    if not env.is_given("DATABASE_URL", os.environ):
        os.environ["DATABASE_URL"] = Postgres(instance.var).url
    if not env.is_given("REDIS_URL", os.environ):
        os.environ["REDIS_URL"] = Redis(instance.var).url
    execute_from_command_line(["bin/manage", *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
