"""What all displays share: colours, figures, panels, and grouping of rows by label."""

import numpy as np

# M. A. Petroff, "Accessible Color Sequences for Data Visualization", arXiv:2107.02270, 2021.
COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)


def make_axes(ax, size):
    """Return figure and axes: the given axes, or those of a new figure of `size` inches."""
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")


def choose_grid(n_panels, most_columns):
    """Return the fewest rows for `n_panels`, and the fewest columns for that many rows."""
    n_rows = -(-n_panels // most_columns)
    return n_rows, -(-n_panels // n_rows)


def divide_axes(ax, n_panels, most_columns, name=None, share=False):
    """Divide `ax` into `n_panels` axes, row by row; `share` gives them one vertical scale."""
    if ax.get_subplotspec() is None:
        raise ValueError("ax must be part of a grid, as plt.subplots() makes it, to hold panels.")
    n_rows, n_columns = choose_grid(n_panels, most_columns)
    # The title has a row of its own: that of `ax` would overlap the titles of the panels.
    heights = [0.01 if name else 0.0001, *[1] * n_rows]
    grid = ax.get_subplotspec().subgridspec(n_rows + 1, n_columns, height_ratios=heights)
    ax.set_axis_off()
    if name:
        title = ax.figure.add_subplot(grid[0, :])
        title.set_axis_off()
        title.set_title(name)
    made = []
    for k in range(n_panels):
        place = grid[1 + k // n_columns, k % n_columns]
        made.append(ax.figure.add_subplot(place, sharey=made[0] if share and made else None))
        if share and k % n_columns:
            made[-1].tick_params(labelleft=False)
    return made


def group_rows(labels, n_samples):
    """Return the sorted distinct labels and each row's index into them; one group if None."""
    if labels is None:
        return np.array([""]), np.zeros(n_samples, dtype=int)
    labels = np.asarray(labels)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"labels must have shape ({n_samples},), one per row, got {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)
