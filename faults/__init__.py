"""Random faults against a whole mirror, with invariants checked from outside: `make faults`.

    python -m faults --faults 200 --seed 7            # wire, registries, processes, Postgres, disk
    python -m faults --faults 20 --seed 7 --up        # the same against the processes of mirror up

stage.py      real docker-registry source and target, embedded PostgreSQL, a front to each registry
front.py      what stands between client and registry: resets, stalls, garbles, storms, lies
runner.py     one sync a process, forked from one that has imported everything
kinds.py      the kinds of faults by name: answers.py, processes.py
invariants.py what must hold at every moment, read from the registry's files and the database
episodes.py   push, fault, sync, heal, sync until everything has arrived
up.py         the processes of `mirror up`
machine.py    a `mirror up` between two registries
network.py    an hour without network
disk.py       a full disk below the data folder
sigterm.py    SIGTERM in the middle of a large upload
figures.py    what is printed
"""
