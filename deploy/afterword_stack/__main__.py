"""The `afterword` command: says what is missing where the SDK alone is installed."""

import sys

from afterword_stack.interrupts import INTERRUPTED, end_at_once


def main() -> int:
    """Run the command line.

    Returns:
        The exit status: 0 done, 1 failed, 2 you must change something, 130 interrupted by Ctrl-C.
    """
    end_at_once()
    try:
        return _run()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("afterword"):
            raise
        sys.stderr.write(
            f"afterword: the command needs {error.name}, which the SDK alone does not install.\n"
            "Install the server parts: pip install '.[server]' in a clone, "
            "or '.[server,local]' for `afterword demo` and `afterword up`.\n"
        )
        return 2


def _run() -> int:
    # Nothing of this at the top: it would be imported before Ctrl-C is looked after.
    import io  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from afterword_stack.commands import run  # noqa: PLC0415  # its imports are the extra's

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that is not UTF-8 shows ✓ as an escape, which beats no answer at all.
        sys.stdout.reconfigure(errors="backslashreplace")
    # What the Kafka client has to say of a broker that comes and goes; failures are reported.
    logging.getLogger("afterword.kafka").setLevel(logging.CRITICAL)
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
