"""Pictures of chapter 14: the ladder, samples across checkpoints, and an overlap."""


def ladder_picture(rungs):
    for name, (loss, text) in rungs.items():
        print(f"{name:24} {loss:.3f} {text!r}")


def checkpoints_widget(losses, kept):
    for step, (loss, text) in kept.items():
        print(step, loss, repr(text))


def overlap_picture(curves):
    print(curves)
