"""What `make bench` runs: emulated links, registries, workloads, and peers to compare with.

Not part of the installed package. `python -m bench [WORKLOAD...]` runs it; RESULTS.md holds the
last figures, results/ the raw numbers. Throughout: rates are bytes/s, times seconds, sizes bytes.
"""
