"""What all commands have in common with the shell: options, output, completion, exit codes."""

from __future__ import annotations

from deeplake_mmdet.cli.shell import completion
from deeplake_mmdet.cli.shell.options import add_common_options, command_output

__all__ = ["add_common_options", "command_output", "completion"]
