"""Pictures, sound, tables, plots: what `log` takes beside numbers and text. docs/media.md

The thread that trains takes a copy of what was given; a thread of ours turns it into files of the run.
"""
