"""The main job shown on one machine: `run_demo` is the script, its parts stand beside it.

script.py     what happens, in order
stage.py      broker, agent, chambers, daemon, dashboard: started and stopped together
burst.py      a load on this machine, for some seconds
bulletin.py   what the daemon says in its output topic
verdict.py    injected against found
"""

from anomalyd.daemon.demo.script import run_demo

__all__ = ["run_demo"]
