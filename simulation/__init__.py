"""Long times in minutes: what becomes of delays, alerts and disks while nobody looks.

    python -m simulation month --seed 1    # random pushes at the shipped settings: delays
    python -m simulation week --seed 1     # and a fault an hour: success, delays, alerts
    python -m simulation year              # what a year leaves in databases and logs

clock.py      simulated time: the loop jumps to its next timer whenever nobody is at work
world.py      Docker Hub, Aliyun and Azure as fakes in this process; a real PostgreSQL
machine.py    what `mirror up` runs, without Prefect: watch, schedules, alerts, maintenance
people.py     pushes at random times
faults.py     a fault an hour
ledger.py     what happened, noted outside of the product, and the figures that follow from it
month.py, week.py, year.py  the three simulations
"""
