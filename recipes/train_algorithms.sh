#!/usr/bin/env bash
# Trains every policy of the comparison for one family: the supervised start, then PPO, RLOO, GRPO, GiGPO
# and LaMer from it, three seeds of GiGPO and LaMer. Two trainings run side by side, one CPU core each. Killed
# at any moment, the same command goes on from the last checkpoints.
#
#   bash recipes/train_algorithms.sh minesweeper|sokoban [FOLDER] [STEPS]
set -euo pipefail
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1
family=$1
out=${2:-runs/training}/$family
steps=${3:-60}
mkdir -p "$out"

supervised() {
    lamer-bench train supervised --threads 1 --precision bfloat16 --seed 0 "$@" 2>> "$out/supervised.log"
}

case $family in
minesweeper)
    # the best play first, at full precision; then what a population makes of it
    supervised --out "$out/best-play" --steps 3700
    supervised --out "$out/supervised" --start "$out/best-play/policy" --first-chunk 1000 --steps 900 \
        --learning-rate 0.001 --muon-rate 0.005 --population '{"remember": 0.3, "slip": 0.05}' \
        --environments '{"minesweeper-hard": 4, "minesweeper-medium": 3, "minesweeper-easy": 1,
                         "minesweeper-paper": 1}'
    practised="minesweeper-hard minesweeper-medium minesweeper-hard minesweeper-easy"
    gamma_traj=0.9
    ;;
sokoban)
    supervised --out "$out/supervised" --steps 4000 \
        --size '{"width": 96, "layers": 6, "heads": 3, "mlp_width": 288}' \
        --population '{"remember": 0.3, "slip": 0.15}' \
        --environments '{"sokoban-easy": 2, "sokoban-medium": 4, "sokoban-paper": 1, "sokoban-hard": 2,
                         "environments.practice:SokobanPractice-*": 4}'
    practised="sokoban-medium sokoban-easy sokoban-medium sokoban-paper"
    gamma_traj=0.6
    ;;
*)
    echo "No family is called '$family'. Known: minesweeper, sokoban." >&2
    exit 2
    ;;
esac

reinforce() { # algorithm seed options
    local algorithm=$1 seed=$2
    shift 2
    # shellcheck disable=SC2086
    lamer-bench train "$algorithm" --out "$out/$algorithm-seed$seed" --start "$out/supervised/policy" \
        --environments $practised --steps "$steps" --lora-rank 4 --learning-rate 2e-3 --threads 1 \
        --precision bfloat16 --seed "$seed" "$@" 2> "$out/$algorithm-seed$seed.log"
}

{
    for seed in 0 1 2; do reinforce lamer "$seed" --gamma-traj "$gamma_traj"; done
} &
{
    for seed in 0 1 2; do reinforce gigpo "$seed"; done
    for algorithm in grpo rloo ppo; do reinforce "$algorithm" 0; done
} &
wait
