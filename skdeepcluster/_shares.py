"""Memberships as shares: tables whose rows sum to one, and the means of groups of rows.

N rows, K groups.
"""

import numpy as np


def in_shares(table):
    """Divide each row by its sum; a row of zeros becomes equal shares, (N, K)."""
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1])


def group_means(resp, rows):
    """Means of the rows in each group, weighted by memberships (N, K); zero in an empty one."""
    sizes = resp.sum(0)[:, None]
    return resp.T @ rows / np.maximum(sizes, np.finfo(sizes.dtype).tiny)
