"""The training of the criterion that scores partitions.

``draw`` makes data sets with known clusters, ``measure`` describes partitions of them by the
package's features, ``train`` fits trees to their scores, and ``evaluate`` says how well they
choose. ``python -m benchmarks.criterion`` runs all of it.
"""
