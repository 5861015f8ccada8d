#!/usr/bin/env bash
# Trains the policies of the comparison for one family: the supervised start, then LaMer and the single-episode
# algorithms from it, with the seeds named below; with "variants" instead those that ask_questions.py asks about.
# Two trainings run side by side, one CPU core each. Killed at any moment, the same command goes on from the last
# checkpoints.
#
#   bash recipes/train_algorithms.sh FAMILY [algorithms|variants] [FOLDER]
#
# FAMILY is minesweeper, sokoban or webshop; or a second set, whose policies do not ship and which
# ask_questions.py asks about:
#
#   sokoban-plain       sokoban's start without its last stage, which teaches to leave what failed for something else
#   sokoban-large       that one made twice as deep
#   sokoban-sizes       twice as many layers, which have met many sizes from their first step
#   sokoban-retries     that one, taught more about retries in large rooms; LaMer and GRPO only
#
# The first stage of sokoban-sizes was trained on a GPU with 16 cores in seven minutes (NVIDIA_TF32_OVERRIDE=1); it
# lies in recipes/starts and is taken from there. Before prompts showed all Sokoban rooms with the same symbols
# (commit 33cc37f) were trained: all Sokoban starts, those of sokoban, -plain and -large with practice rooms of 5 to
# 7 rows and solutions of 2 to 18 moves; all of them but -retries also before prompts showed wide rooms upright
# (commit c2785be). What is reinforced practises no wide room.
#
# PRECISION=bfloat16 is twice as fast on processors that multiply in it (AMX, AVX-512 BF16), and many times
# slower on others. What ships was trained in float32.
set -euo pipefail
precision=${PRECISION:-float32}
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1
family=$1
what=${2:-algorithms}
out=${3:-runs/training}/$family
mkdir -p "$out/variants"

# Supervised stages --------------------------------------------------------------------------------------------

supervised() { # folder options
    local folder=$1
    shift
    lamer-bench train supervised --out "$out/$folder" --threads 1 --precision "$precision" --seed 0 "$@" \
        2>> "$out/$folder.log"
}

from_scratch_on_a_gpu() { # folder options; taken from recipes/starts where it lies there
    local folder=$1 kept
    kept=$(dirname "$0")/starts/$family
    shift
    if [ -d "$kept" ]; then
        mkdir -p "$out/$folder"
        [ -d "$out/$folder/policy" ] || cp -r "$kept" "$out/$folder/policy"
    else
        supervised "$folder" --batch-size 256 --reflections 32 --warmup-steps 200 --checkpoint-steps 500 "$@"
    fi
}

sokoban_failures() { # folder policy options: goes on with a Sokoban policy, on its own failures
    local folder=$1 policy=$2
    shift 2
    supervised "$folder" --start "$policy" --player "$policy" \
        --population '{"remember": 1.0, "slip": 0.05}' --learning-rate 0.0015 --muon-rate 0.01 "$@"
}

sokoban_mostly_6x6() {
    sokoban_failures "$@" --chunk-trials 512 \
        --environments '{"sokoban-easy": 1, "sokoban-medium": 3, "sokoban-paper": 1,
                         "sokoban-hard": 6, "environments.practice:SokobanPractice-*": 1}'
}

start() {
    local mines=environments.practice:MinesweeperPractice rooms=environments.practice:SokobanPractice
    case $family in
    minesweeper)
        supervised supervised --steps 1700 --reflections 8 --warmup-steps 100 \
            --size '{"width": 96, "layers": 8, "heads": 3, "mlp_width": 288}' \
            --environments '{"minesweeper-hard": 4, "minesweeper-medium": 2, "minesweeper-easy": 1,
                             "minesweeper-paper": 1, "'$mines'-*": 6}'
        ;;
    sokoban) # solutions first, then the policy's own failures, then to leave what failed for something else
        supervised first --steps 2800 \
            --size '{"width": 96, "layers": 6, "heads": 3, "mlp_width": 288}' \
            --population '{"remember": 0.8, "slip": 0.1}' \
            --environments '{"sokoban-easy": 2, "sokoban-medium": 4, "sokoban-paper": 1,
                             "sokoban-hard": 3, "'$rooms'-*": 2}'
        sokoban_mostly_6x6 failures "$out/first/policy" --first-chunk 20000 --steps 400
        sokoban_mostly_6x6 supervised "$out/failures/policy" --explore 0.03 --first-chunk 60000 --steps 1000
        ;;
    sokoban-plain)
        [ -d "$out/supervised" ] || cp -r "$out/../sokoban/failures" "$out/supervised"
        ;;
    sokoban-large)
        sokoban_mostly_6x6 supervised "$out/../sokoban/failures/policy" --add-layers 6 \
            --first-chunk 40000 --steps 1150 --learning-rate 0.002 --muon-rate 0.015
        ;;
    sokoban-sizes)
        from_scratch_on_a_gpu first --steps 4200 --workers 9 --chunk-trials 800 \
            --size '{"width": 96, "layers": 12, "heads": 3, "mlp_width": 288}' \
            --population '{"remember": 0.8, "slip": 0.1}' \
            --environments '{"sokoban-easy": 1, "sokoban-medium": 3, "sokoban-paper": 1,
                             "sokoban-hard": 5, "'$rooms'-*": 6}'
        sokoban_failures supervised "$out/first/policy" --explore 0.03 --start-share 0.4 --workers 2 \
            --chunk-trials 256 --first-chunk 100000 --steps 500 \
            --environments '{"sokoban-easy": 1, "sokoban-medium": 2, "sokoban-paper": 1,
                             "sokoban-hard": 5, "'$rooms'-*": 6}'
        ;;
    sokoban-retries)
        sokoban_failures supervised "$out/../sokoban-sizes/supervised/policy" --explore 0.03 --workers 1 \
            --chunk-trials 192 --first-chunk 200000 --steps 450 --learning-rate 0.0006 --muon-rate 0.004 \
            --environments '{"sokoban-easy": 1, "sokoban-medium": 1, "sokoban-paper": 1, "sokoban-hard": 5,
                             "'$rooms'-8x8x2a": 4, "'$rooms'-7x7x2a": 4, "'$rooms'-*": 4}'
        ;;
    webshop)
        supervised supervised --steps 3000 --batch-size 64 --reflections 8 --chunk-trials 400 \
            --population '{"remember": 0.5, "slip": 0.05}' \
            --environments '{"webshop-easy": 1, "webshop-medium": 4, "webshop-hard": 3, "webshop-paper": 1}'
        ;;
    esac
}

# Reinforcement ------------------------------------------------------------------------------------------------

reinforce() { # algorithm folder seed options, which replace the family's
    local algorithm=$1 folder=$2 seed=$3 credit=""
    shift 3
    [ "$algorithm" != lamer ] || credit="--gamma-traj $gamma --estimator $estimator"
    lamer-bench train "$algorithm" --out "$out/$folder" --start "$out/supervised/policy" --steps $steps \
        --lora-rank 4 --learning-rate $rate --threads 1 --precision "$precision" --seed "$seed" \
        --environments $levels $credit "$@" 2>> "$out/$folder.log"
}

with_seeds() { # algorithm seeds
    local seed
    for seed in $2; do
        reinforce "$1" "$1-seed$seed" "$seed"
    done
}

variant() { # name seeds algorithms options
    local name=$1 seeds=$2 algorithms=$3 seed algorithm
    shift 3
    for seed in $seeds; do
        for algorithm in $algorithms; do
            reinforce "$algorithm" "variants/$algorithm-$name-seed$seed" "$seed" "$@"
        done
    done
}

lamer_seeds="0 1 2" grpo_seeds="0 1 2" gigpo_seeds=0 rloo_seeds=0 ppo_seeds=0
estimator=rloo # of LaMer
steps=60
other=easier other_seeds=0 compared="lamer grpo"  # variants that practise other levels
case $family in
minesweeper)  # practising hard costs diversity and wins nothing (question "practised")
    levels="minesweeper-medium minesweeper-easy"
    other_levels="minesweeper-hard minesweeper-medium minesweeper-hard minesweeper-easy"
    other=harder other_seeds="0 1 2" compared="lamer rloo grpo"
    rloo_seeds="0 1 2"
    gamma=0.9 steps=24 rate=1e-3 ppo_rate=1e-3
    ;;
sokoban | sokoban-plain | sokoban-large)
    levels="sokoban-hard sokoban-medium"
    other_levels="sokoban-medium sokoban-easy sokoban-medium sokoban-paper"
    [ "$family" = sokoban ] || estimator=gigpo
    [ "$family" != sokoban-plain ] || gigpo_seeds="0 1 2" rloo_seeds="0 1 2"
    [ "$family" != sokoban-large ] || lamer_seeds="0 1" grpo_seeds=0 rloo_seeds="0 1" ppo_seeds=""
    gamma=0.6 rate=5e-3 ppo_rate=1e-3  # at 5e-3 PPO loses most of its start (docs/log.md)
    ;;
sokoban-sizes | sokoban-retries)
    practice=environments.practice:SokobanPractice
    levels="sokoban-hard $practice-8x8x2a sokoban-hard $practice-7x7x2a"
    other_levels="sokoban-medium sokoban-easy sokoban-medium sokoban-paper"
    ppo_seeds="0 1 2"
    [ "$family" != sokoban-retries ] || gigpo_seeds="" rloo_seeds="" ppo_seeds=""
    gamma=0.6 steps=40 rate=5e-3 ppo_rate=1e-3
    ;;
webshop)
    # paid for wins alone
    practice=environments.practice:WebShopPractice
    levels="$practice-hard $practice-medium $practice-hard $practice-easy"
    other_levels="$practice-medium $practice-easy $practice-medium $practice-paper"
    gigpo_seeds="0 1 2" grpo_seeds=0 compared="lamer gigpo" estimator=gigpo
    gamma=0.6 steps=45 rate=1e-3 ppo_rate=1e-3
    ;;
*)
    echo "No family is called '$family'. Known: minesweeper, sokoban, sokoban-plain, sokoban-large, sokoban-sizes," \
        "sokoban-retries, webshop." >&2
    exit 2
    ;;
esac

case $what in
algorithms)
    start
    with_seeds lamer "$lamer_seeds" &
    {
        with_seeds gigpo "$gigpo_seeds"
        with_seeds grpo "$grpo_seeds"
        with_seeds rloo "$rloo_seeds"
        rate=$ppo_rate with_seeds ppo "$ppo_seeds"
    } &
    ;;
variants)
    {
        variant $other "$other_seeds" "$compared" --environments $other_levels
        variant frozen 0 lamer --no-train-reflections
    } &
    {
        for value in 0 0.3 0.6 0.9; do
            [ $value = $gamma ] || variant gamma_traj_$value 0 lamer --gamma-traj $value
        done
        case $family in
        sokoban) # slower: of 2e-3 and 5e-3 the better one on 500 val rooms of hard
            variant estimator_gigpo "0 1 2" lamer --estimator gigpo
            rate=2e-3 variant slower "0 1 2" "lamer rloo grpo gigpo"
            rate=3e-3 steps=300 variant longer "0 1 2" "lamer grpo rloo gigpo"
            ;;
        sokoban-sizes) # of 1e-3, 2e-3 and 5e-3 the best on 500 val rooms of ood
            rate=2e-3 variant slower "0 1 2" lamer
            ;;
        sokoban-plain)
            rate=1e-3 variant rate_1e-3 0 gigpo
            rate=5e-3 variant rate_5e-3 0 ppo
            rate=3e-3 steps=300 variant steps_300 0 "lamer rloo"
            ;;
        esac
    } &
    ;;
*)
    echo "Give algorithms or variants, not '$what'." >&2
    exit 2
    ;;
esac
wait
