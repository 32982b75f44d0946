"""The guided run of `mirror demo`: what the system does, shown and checked step by step.

    sample.py    two registries in memory, Docker Hub's web API for the source, releases
    commands.py  `mirror` as a separate process, and its output
    steps.py     the steps: each says what it shows and checks that it happened
    screen.py    how that looks in a terminal
    run.py       starts what is needed, runs the steps, stops what it started

Errors: DemoError (a MirrorError): a step failed.
"""
