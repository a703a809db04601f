"""`python -m qkformer`, for launchers that take a module: `accelerate launch -m qkformer train ...`."""

from qkformer.cli import main

if __name__ == "__main__":
    main()
