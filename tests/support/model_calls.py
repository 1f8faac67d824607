"""Model calls: which blocks and heads of a model run, and which hooks are left on it."""

from mahals.models.checkpoints.blocks import decoder_blocks


def hooks_on(model):
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    )


class Calls:
    """Block and head calls of a model while the block runs."""

    def __init__(self, at):
        self.blocks, self.heads, self.at = 0, 0, at

    def __enter__(self):
        def block(*_):
            self.blocks += 1

        def head(*_):
            self.heads += 1

        modules = decoder_blocks(self.at.model)
        self.handles = [m.register_forward_pre_hook(block) for m in modules]
        output = self.at.model.get_output_embeddings()
        self.handles.append(output.register_forward_pre_hook(head))
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
