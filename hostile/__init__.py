"""A hostile registry against whole syncs, with what each trial costs: `make trials`.

    python -m hostile                               # the table of trials: outcome, seconds, peak MB
    python -m hostile --only drip                   # those whose name has "drip" in it
    python -m hostile --variations 500 --seed 7     # answers that a generator spoils

server.py      stands before a registry in memory and may answer in its place
runner.py      one sync a process, forked from one that has imported everything, Prefect included
stage.py       source, target, embedded PostgreSQL, the runner
trials.py      the trials by name, and the bound of each
variations.py  what the generator spoils, and how
record.py      what must hold of the record and at the target after each
figures.py     what is printed
"""
