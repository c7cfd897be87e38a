"""What everything that runs is made of: actors with mailboxes under a supervisor, and the environment they are handed."""
