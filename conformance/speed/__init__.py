"""How fast, honestly: distinct messages, stages compared inside one run, counts of what was produced.

python -m conformance.speed                    all stages, then a whole gateway over MLLP
python -m conformance.speed --rounds 10        steadier
python -m conformance.speed --stream FILE.pkl  another stream: a pickled list of (kind, bytes)
python -m conformance.speed peers              translation alone, both ways, side by side with a peer
python -m conformance.speed growth             long reports, large documents
python -m conformance.speed exports            tables of many rows beside pandas and openpyxl, and their memory
"""
