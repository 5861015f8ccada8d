#!/usr/bin/env bash
# Trains the shipped MineSweeper agents: the supervised start, then LaMer from it. About an hour and a
# half on two CPU cores. Killed at any moment, the same command goes on from the last checkpoint.
#
#   bash recipes/minesweeper_lamer.sh [FOLDER]
set -euo pipefail
export OMP_WAIT_POLICY=PASSIVE
out=${1:-runs/training/minesweeper}

lamer-bench train supervised --out "$out/supervised" --steps 3700 --seed 0
lamer-bench train lamer --out "$out/lamer" --start "$out/supervised/policy" \
    --environments minesweeper-hard minesweeper-medium minesweeper-hard minesweeper-easy \
    --steps 20 --learning-rate 3e-5 --seed 0

echo "To ship them:"
echo "  cp -r $out/supervised/policy baselines/weights/minesweeper/supervised"
echo "  cp -r $out/lamer/policy baselines/weights/minesweeper/lamer"
