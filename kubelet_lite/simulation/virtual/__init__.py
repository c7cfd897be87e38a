"""The machine on which a simulation runs: time, chance, network and foreign code, the same in every process.

loop.py       the event loop in virtual time            tape.py   every draw, by name
environment   the world of our own code                 world.py  the world of code that we did not write (patches, refusal, libraries)
network.py    names, ports and connections (transports) run.py    an async function from beginning to end, and nothing left behind
"""
