"""Two modules that Python loads at its start, to register with frameworks in scripts that import no tracker.

They are copied or put on the path, never imported from here: `_tracker_autoload` by `tracker autoload on`, and
`sitecustomize`, with the first beside it, by `tracker run`.
"""
