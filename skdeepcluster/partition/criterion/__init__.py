"""The learned criterion: the expected score of a partition.

The expected score is the expected adjusted Rand index with the true clusters. ``measurements``
measures a data set, ``features`` describes partitions of it, and trees predict the score
(``learned``, read from ``criterion.npz``). ``score`` puts them together. ``benchmarks/criterion``
trains the trees.
"""
