"""stub"""
def watch():
    return lambda step: None
