"""What everything rests on: paths, errors, the store of artifacts, the configuration of a run, the machine."""
