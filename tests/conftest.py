"""What every test shares."""
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # timing decides no test: a busy machine finds nothing
