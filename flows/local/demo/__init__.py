"""The guided run of `mirror demo`: what the system does, shown and checked step by step.

    sample.py    two registries in memory, Docker Hub's web API before the source, releases
    runs.py      `mirror sync` as a process of its own, and what it printed
    chapters.py  the steps: each says what it shows and checks that it happened
    screen.py    how that looks in a terminal
    guide.py     starts what is needed, walks the chapters, stops what it started

Errors: TourError (a MirrorError): a step did not do what it says.
"""
