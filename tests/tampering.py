"""Files of estimators that somebody has changed and signed again."""

import json

from skdeepcluster._files import hash_content, read_arrays, write_arrays


def change(path, edit):
    """Rewrite a file after ``edit(content, arrays)`` has changed these dicts, or return a text."""
    arrays, metadata = read_arrays(path)
    content = json.loads(metadata["estimator"])
    text = edit(content, arrays)
    text = text if isinstance(text, str) else json.dumps(content)
    metadata |= {"format_version": "2", "estimator": text, "sha256": hash_content(text, arrays)}
    write_arrays(path, arrays, metadata)
