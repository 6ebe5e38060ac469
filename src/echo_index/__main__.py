"""Run the command line: `python -m echo_index`."""

from echo_index.app.cli.main import main

if __name__ == "__main__":
    main()
