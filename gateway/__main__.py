"""`python -m gateway` and the installed `hutong` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from gateway.cli import main as run

    run()


if __name__ == "__main__":
    main()
