"""Accounts of translations, apart from the hot path: what became of every value of the source, and where each element
came from. Found by trying: a value counts as carried only where the translation without it is another one, or where
the way back writes it again.

    places      the values of a message, one by one     elements   the values of resources, one by one
    trial       a translation without one value         account    carried, kept, dropped: they add up
    reasons     why a value is in the raw message only  origins    which line of which map made it
    explained   where each element and field came from  roundtrip  there and back, field by field
"""
