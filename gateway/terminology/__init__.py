"""Code systems, value sets and concept maps: what is in them, how they hang together, what one makes of a code.

R4 terminology-module.html, codesystem.html, valueset.html, conceptmap.html. Everything here is pure: where the
resources lie is the Shelf's affair (shelf.py), and every walk is bounded (limits.py).
"""
