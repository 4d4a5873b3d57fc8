"""Who is who, measured on invented people with the dirt of real Chinese hospital data, where the truth is known.

python -m conformance.identity --people 5000            ours alone
python -m conformance.identity --people 5000 --beside   beside splink and recordlinkage, in an environment of their own
"""
