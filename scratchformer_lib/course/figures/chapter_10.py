"""Pictures of chapter 10."""


def valley_picture(paths):
    pass
def lines_picture(lines, x, y, smooth=1): pass
def looks_picture(maps): pass
def scrub_widget(seen_at, steps): seen_at(steps[0]); seen_at(steps[-1])
