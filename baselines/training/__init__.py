"""The trainer: returns, advantages, losses, rollouts, the loop, a short file per algorithm.

With `baselines.local_model` all that needs torch.
"""
