"""Faults at every point of the operator's life: each write, each watch event, each past, one at a time, on a real API server.

`scenarios` say what people do; `points` name what can go wrong and where; `trial` leads one scenario with one point, and `oracles`
read what was seen. `python -m operatorpoints` counts the points of every scenario in a run without faults, then tries them.
"""
