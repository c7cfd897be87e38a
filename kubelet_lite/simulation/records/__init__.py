"""What is left of a run, and what is made of it.

recording.py  what happened, as JSON lines (compare.py: two of them)      replay.py    all that it takes to play it again
story.py      for people in a terminal (relevance.py: what matters)       timeline.py  as a page of HTML
past.py       any moment as an API (stepper.py: from one to the next)     difference.py, reference.py   what several of them use
"""
