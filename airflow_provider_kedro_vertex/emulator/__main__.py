"""The command line of the emulator, ``vertex-emulator``; ``--help`` tells all of it."""

from __future__ import annotations

import sys

from airflow_provider_kedro_vertex.emulator.cli import control, env, start
from airflow_provider_kedro_vertex.emulator.cli.parsing import Parser, add_data

_COMMANDS = {
    "start": (start.add_flags, start.run, "serve until Ctrl-C; also without the word: vertex-emulator --port 0"),
    "env": (env.add_flags, env.run, "print shell lines that lead Google's own clients to one that serves with --tls"),
    "status": (control.add_status_flags, control.status, "tell where one serves, and what its jobs do"),
    "faults": (control.add_fault_flags, control.faults, "queue faults for it to inject, or print those that wait"),
    "reset": (add_data, control.reset, "end all containers, and forget all jobs, files and faults"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; without a command's name, ``start``.

    :return: the exit code: 0 if it was done, 1 if there is no emulator to do it, 2 if a flag cannot be used.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] not in (["-h"], ["--help"]) and (not given or given[0].startswith("-")):
        given = ["start", *given]
    parser = Parser(
        prog="vertex-emulator",
        description="A local Vertex AI: PipelineJobs and CustomJobs over REST and gRPC, run here as processes or in "
        "containers, and a page to look at. COMMAND --help tells a command's flags.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add_flags, run, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_flags(command)
        command.set_defaults(run=run, parser=command)
    options = parser.parse_args(given)
    code: int = options.run(options.parser, options)
    return code


if __name__ == "__main__":
    sys.exit(main())
