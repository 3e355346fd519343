"""The simulator as Python has it. What it plays is tested where it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import xtrader as xt

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


def test_what_no_connection_was_handed_can_be_asked(tmp_path: Path) -> None:
    stream = "btcusdt@aggTrade"
    drop = {"fault": {"kind": "drop"}, "target": {"stream": stream}, "when": {"probability": 0.5, "times": 0}}
    with xt.Simulator(symbols=["BTCUSDT"], faults=[drop], addresses=["127.0.0.1", "127.0.0.2"]) as simulator:
        simulator.record(tmp_path / "heard.jsonl", 2.0)
        missing = {row["seq"]: row["trades"] for row in simulator.truth("uncarried", stream=stream)}
        handed = {frame["event"] for frame in simulator.truth("frames")}
        heard = [event["seq"] for event in simulator.truth("events", stream=stream) if event["seq"] in handed]
        lost = {a["event"] for a in simulator.truth("alterations") if a["lost"] and a["event"] > heard[0]}
    assert lost
    assert lost <= set(missing)
    assert not set(missing) & handed
    assert all(trades for trades in missing.values())
