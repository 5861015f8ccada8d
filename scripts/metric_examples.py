"""An example of each metric: an expression, whose value the documentation computes."""

EXAMPLES = {
    "sequential_pass_at_k": "sequential_pass_at_k([[False, True, False]], k=2)",
    "independent_pass_at_k": "independent_pass_at_k(num_won=1, num_episodes=3, k=2)",
    "adaptation_gain": "adaptation_gain([1.0, 0.0, 1.0], [0.5, 0.0, 1.0])",
    "conditional_success": "conditional_success([[False, True, False], [False, False, False]])",
    "trial_returns": "trial_returns([[0.1, 0.1, -1.0], [0.1, 10.0]])",
    "invalid_rate": 'invalid_rate(["(1,1)", None, "(2,3)", "(2,4)"])',
    "state_coverage": 'state_coverage(["a", "b", "a", "c"])',
    "trajectory_entropy": 'trajectory_entropy([["up"], ["up"], ["left", "up"]])',
    "miller_madow_entropy": 'miller_madow_entropy([["up"], ["up"], ["left", "up"]])',
    "distinct_share": 'distinct_share([["up"], ["up"], ["left", "up"]])',
    "edit_diversity": 'edit_diversity([["up"], ["up"], ["left", "up"]])',
    "within_trial_novelty": 'within_trial_novelty([["up"], ["up"], ["left", "up"]])',
    "edit_distance": 'edit_distance(["up", "left"], ["up", "left", "down"])',
    "levenshtein": 'levenshtein(["up", "left"], ["up", "left", "down"])',
    "bootstrap_interval": "bootstrap_interval([0.0, 1.0, 1.0, 0.0, 1.0])",
    "wilson_interval": "wilson_interval(num_won=59, num_trials=100)",
    "mcnemar_p": "mcnemar_p([1, 1, 1, 1, 0], [0, 0, 0, 0, 0])",
    "sign_test_p": "sign_test_p(num_better=12, num_worse=3)",
    "holm": "holm([0.01, 0.04, 0.03])",
    "smallest_detectable_difference": "smallest_detectable_difference(200)",
}
