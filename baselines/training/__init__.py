"""The only room with torch: returns, advantages, losses, rollouts, the loop, a short file per
algorithm."""
