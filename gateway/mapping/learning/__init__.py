"""A sample of an export → the draft of its map: columns, what they hold, what they mean, the kind, the text of the map.

The knowledge is data (`mappings/learning`): spellings of column names, words that mean the same, and for each kind of
export a map written in meanings. Nothing here reads a file or shows a value of the sample.
"""
