"""Parameters as nested dicts, and the same as one flat dict."""


def flat(params, path=""):
    """Nested dicts as one dict, with names like "encoder/layer_1/norm_1/gamma"."""
    if not isinstance(params, dict):
        return {path: params}
    arrays = {}
    for key, part in params.items():
        arrays |= flat(part, f"{path}/{key}".lstrip("/"))
    return arrays


def nested(arrays):
    """What `flat` did, undone."""
    params = {}
    for path, x in arrays.items():
        *parts, last = path.split("/")
        part = params
        for key in parts:
            part = part.setdefault(key, {})
        part[last] = x
    return params
