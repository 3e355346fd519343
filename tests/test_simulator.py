"""The simulator as Python has it. What it plays is tested where it is written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORKS = """
import os, sys
import xtrader as xt

simulator = xt.Simulator(symbols=["BTCUSDT"])
uses = {
    "truth": lambda: simulator.truth("summary"),
    "inject": lambda: simulator.inject("drop"),
    "pause": simulator.pause,
    "clear_faults": simulator.clear_faults,
    "is_running": lambda: simulator.is_running,
    "record": lambda: simulator.record("x.jsonl", 0.1),
    "wait_drained": lambda: simulator.wait_drained(0.1),
    "stop": simulator.stop,
}
child = os.fork()
if child == 0:
    for name, use in uses.items():
        try:
            use()
        except xt.ForkedError:
            continue
        print(name, "was allowed", flush=True)
    with xt.stream("binance-futures:BTCUSDT", endpoints=simulator.endpoints) as mine:
        print(len(next(mine)) > 0, flush=True)
    with simulator:
        sys.exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, simulator.is_running, simulator.truth("summary")["frames"] > 0, flush=True)
simulator.stop()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.fault("C08")
def test_a_fork_may_talk_to_it_and_leaves_it_to_its_parent() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == ["True", "7 True True"], done.stderr
    assert done.stderr == ""
