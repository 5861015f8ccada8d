"""The board: labs submit runs, every number on it is recomputed from replayed actions.

* `bundles`: the file that is sent, packed and unpacked within hard limits.
* `rules`: which runs may stand on a board.
* `judge`: replays a bundle in a process of its own; `worker` feeds it, one submission at a time.
* `database`: all that is stored, and the only SQL, on the tables of `schema`.
* `sealed`: tasks that follow from a secret, and runs on them; `sealed_api` serves them,
  `sealed_client` plays them from elsewhere.
* `ranking`: ranks, bands of entries that cannot be told apart, paired comparisons.
* `app`: `create_app`; `api`, `pages` and `feeds` are its blueprints.
* `client`: sends a bundle and waits for the verdict.
"""
