#!/usr/bin/python
from ..module_utils._core.runner import run
from ..module_utils._resources.sriov_functions import SriovFunctions


def main() -> None:
    run(SriovFunctions)


if __name__ == "__main__":
    main()
