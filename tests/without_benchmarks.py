"""A plugin of pytest, for `run_tests.sh`: notebooks run as on a machine that reaches no benchmark.

What they show then is what is stored of them, and what they train is the cell on the facts corpus, in half a minute.
"""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    """Start the kernel of a notebook, if this is its first cell, with a mirror that holds nothing."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.suffix == ".ipynb":
            patch.setenv("HYBRID_DATA_MIRROR", str(item.path.parent))
        return (yield)
