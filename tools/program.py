"""What every command of mc_keras has in common: help, one-sentence errors, exit codes.

A tool is a module with a docstring, typed flags, `main(argv)`, and

```python
def run() -> None:
    program.run(main)
```
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath
from types import ModuleType

from absl import app, flags, logging

from mc_keras.tools.quiet import quieten_tensorflow

DEBUG = flags.DEFINE_boolean("debug", default=False, help="Show the whole traceback of an error.")

# What a user can cause. Anything else is a fault of ours, and keeps its traceback.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)
_HELP = {"--help", "-help", "--helpshort", "-helpshort", "-h", "-?"}


def run(main: Callable[[Sequence[str]], int | None], arguments: str = "") -> None:
    """Runs a tool and ends the process with its exit code.

    Invalid flags, and the errors that a user can cause, end as one line on stderr with exit code 1;
    `--debug` shows their traceback. Ctrl-C ends with exit code 130.

    Args:
        main: The tool: takes the words left after the flags (the program's name first), returns
            None or an exit code. The docstring of its module is the text of `--help`.
        arguments: How the words after the flags are called in the help, such as `"ACTION [NAME]"`.
            Empty: the tool takes flags only, and `main` is not called with anything else.
    """
    quieten_tensorflow()
    # TensorFlow leaves oneDNN off on processors without AVX-512; gradients of convolutions gain
    # most from it there.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    module = sys.modules[main.__module__]
    # absl takes the text of `--helpfull` from here; an installed command has none of its own.
    sys.modules["__main__"].__doc__ = module.__doc__

    def parse(argv: Sequence[str]) -> list[str]:
        if _HELP.intersection(argv):
            print(_help(module, arguments))
            sys.exit(0)
        try:
            words = flags.FLAGS([_at_home(word) for word in argv])
            if flags.FLAGS["verbosity"].using_default_value:
                flags.FLAGS.verbosity = logging.ERROR
        except flags.Error as error:
            sys.exit(_sentence(error) + " See --help.")
        if len(words) > 1 and not arguments:
            sys.exit(
                _sentence(f"Unexpected argument {words[1]!r}; every option is a flag.")
                + " See --help."
            )
        return words

    def guarded(argv: Sequence[str]) -> int | None:
        try:
            return main(argv)
        except _USER_ERRORS as error:
            if DEBUG.value:
                raise
            sys.exit(_sentence(error))
        except KeyboardInterrupt:
            if DEBUG.value:
                raise
            print(_sentence("Interrupted."), file=sys.stderr)
            sys.exit(130)

    app.run(guarded, flags_parser=parse)


def _at_home(word: str) -> str:
    """A flag whose value begins with `~`, which shells leave as it is after `=`."""
    flag, equals, value = word.partition("=")
    return flag + equals + os.path.expanduser(value)


def _sentence(error: Exception | str) -> str:
    """One line for stderr: the program's name and the message, line breaks removed."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror + (f": {str(error.filename)!r}" if error.filename else "")
    text = " ".join(text.split()) or type(error).__name__
    return f"{_program()}: {text}" + ("" if text.endswith((".", "!", "?")) else ".")


def _program() -> str:
    name = PurePath(sys.argv[0])
    return f"mc-{name.stem}" if name.suffix == ".py" else name.name


def _help(module: ModuleType, arguments: str) -> str:
    """Docstring and flags of one tool."""
    usage = " ".join(part for part in (_program(), arguments, "[flags]") if part)
    lines = [(module.__doc__ or "").strip(), "", f"usage: {usage}", ""]
    for source in (module, sys.modules[__name__]):
        # The first lines of absl's text are the module's name.
        lines += flags.FLAGS.module_help(source).strip("\n").split("\n")[1:]
    return "\n".join([*lines, "", "--helpfull lists the flags of absl as well."])
