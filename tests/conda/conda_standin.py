"""Stand-in for the calls of ``conda`` that Snakemake 9 makes: real parser, solver and linker (py-rattler).

Every channel is the directory $STUB_CHANNEL.
"""

import asyncio
import json
import os
import pathlib
import shlex
import shutil
import sys
import traceback

import yaml
from rattler import MatchSpec, VirtualPackage, install, solve

PREFIX = pathlib.Path(__file__).resolve().parents[1]


async def create(specs, prefix):
    """Solve and link the packages of an environment."""
    channel = pathlib.Path(os.environ["STUB_CHANNEL"]).as_uri()
    records = await solve(
        sources=[channel], specs=specs, platforms=["linux-64", "noarch"], virtual_packages=VirtualPackage.detect()
    )
    await install(records=records, target_prefix=prefix, cache_dir=PREFIX / "pkgs", show_progress=False)


def solved_apart(specs, prefix, attempts=4):
    """Make an environment in a child process, again if that crashes.

    py-rattler's worker threads now and then end the interpreter with a segmentation fault.
    """
    for _ in range(attempts):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(create([MatchSpec(s) for s in specs], prefix))
                code = 0
            except BaseException:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            break
        shutil.rmtree(prefix, ignore_errors=True)
    if status:
        sys.exit(f"conda stand-in: no environment, status {status}")


def main(arguments):
    """Answer one call."""
    with open(PREFIX / "calls.log", "a") as log:
        log.write(shlex.join(arguments) + "\n")
    match arguments:
        case ["--version"]:
            print("conda 26.9.0")
        case ["info", *_]:
            print(json.dumps({"conda_prefix": str(PREFIX), "platform": "linux-64", "conda_version": "26.9.0"}))
        case ["config", *_]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *_]:
            file = arguments[arguments.index("--file") + 1]
            specs = yaml.safe_load(pathlib.Path(file).read_text())["dependencies"]
            specs = [spec for spec in specs if isinstance(spec, str)]  # pip's part is installed here already
            solved_apart(specs, arguments[arguments.index("--prefix") + 1])
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"conda stand-in: unknown call {shlex.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
