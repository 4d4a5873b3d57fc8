"""Black box, through the public doors only: what a hospital can run on its own installation before it trusts it.

python -m conformance.smoke      starts a gateway of its own, sends messages, reads the record, kills, restarts
"""
