#!/usr/bin/env bash
# Makes the starter model from labelled photographs: every command, up to the card.
#
#   tools/starter/make.sh DATA WORK [TARGET...]
#
# DATA holds labels.csv and the photographs; WORK gets copies of these without names, runs, clips, bundles and
# scores; without a TARGET they are intel-cpu and jetson. The INT8 bundles and CARD.md end up in s2d_edge/starter. A step whose result is there is
# skipped, with a message: to repeat a step, remove its result and all later ones. An interrupted training is
# resumed.
set -euo pipefail

PHOTOGRAPHS=${1:?give the folder of the photographs, then one to work in}
WORK=${2:?give a folder to work in, after that of the photographs}
TARGETS=("${@:3}")
[ ${#TARGETS[@]} -gt 0 ] || TARGETS=(intel-cpu jetson)
HERE=$(cd "$(dirname "$0")/../../s2d_edge/starter" && pwd)
DATA=$WORK/faces
RUNS=$WORK/runs
MOVING=$WORK/faces-moving
SEED=0

# once RESULT COMMAND...: run the command unless its result is there.
once() {
  local result=$1
  shift
  if [ -e "$result" ]; then
    echo "skipped, $result is there" >&2
  else
    echo "+ $*" >&2
    "$@"
  fi
}

# train RUN OPTION...: the learning curve is the last thing that a training writes.
train() {
  local run=$1
  shift
  if [ -e "$run/run.json" ] && [ ! -e "$run/learning-curve.png" ]; then
    once "$run/learning-curve.png" s2d-edge train --resume "$run"
  else
    once "$run/learning-curve.png" s2d-edge train "$@" --seed $SEED --out "$run"
  fi
}

mkdir -p "$RUNS" "$WORK/bundles" "$WORK/scores"

once "$DATA" python -m tools.starter.pseudonyms "$PHOTOGRAPHS" "$DATA"
once "$RUNS/faces-landmark" s2d-edge train --stage landmark --data "$DATA" --model starter --recipe landmark \
  --seed $SEED --out "$RUNS/faces-landmark"
train "$RUNS/faces-image" --stage image --data "$DATA" --model starter --landmark "$RUNS/faces-landmark" \
  --recipe faces
once "$MOVING/labels.csv" s2d-edge data animate "$DATA" "$MOVING" --limit 1400 --seed $SEED
train "$RUNS/faces-video" --stage video --temporal causal --init "$RUNS/faces-image" --data "$MOVING" \
  --frames 8 --fps 4 --recipe faces

for target in "${TARGETS[@]}"; do
  fp32=$WORK/bundles/faces-$target-fp32
  int8=$WORK/bundles/starter-$target
  once "$fp32" s2d-edge export "$RUNS/faces-video" --target "$target" --mode stream --data "$MOVING" --out "$fp32"
  once "$int8" s2d-edge calibrate "$fp32" --data "$MOVING" --seed $SEED --out "$int8"
  python -m tools.starter.faces remove "$int8" # others' weights are not committed; 'make dist' adds them
  rm -rf "${HERE:?}/$target"
  cp -r "$int8" "$HERE/$target"
done

score() { # MODEL NAME
  once "$WORK/scores/$2-photographs.json" \
    s2d-edge evaluate "$1" --data "$DATA" --seed $SEED --json "$WORK/scores/$2-photographs.json"
  once "$WORK/scores/$2-clips.json" \
    s2d-edge evaluate "$1" --data "$MOVING" --seed $SEED --json "$WORK/scores/$2-clips.json"
}

score "$RUNS/faces-video" fp32
for target in "${TARGETS[@]}"; do
  score "$WORK/bundles/starter-$target" "$target"
done
once "$WORK/timings.json" \
  s2d-edge benchmark "${TARGETS[@]/#/$WORK/bundles/starter-}" --rounds 50 --json "$WORK/timings.json"

python -m tools.starter.card --run "$RUNS/faces-video" --photographs "$DATA" --clips "$MOVING" \
  --scores "$WORK/scores" --timings "$WORK/timings.json" --folder "$HERE" >"$WORK/CARD.md"
cp "$WORK/CARD.md" "$HERE/CARD.md"
echo "wrote $HERE/CARD.md" >&2
