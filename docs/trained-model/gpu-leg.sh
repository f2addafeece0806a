#!/bin/bash
# One leg of training on a GPU, for a machine that is lent for minutes and keeps nothing:
#
#     gpu-leg.sh SHARDS START OUT MINUTES [OPTION ...]
#
# SHARDS   folder of folders by `earmark data shards`, or with a script unpack.py that makes them
# START    weights to start from: a model file, a training folder or its state.pt
# OUT      folder for what comes back. Its files have at most 15 MB: join.sh in it puts the parts together again
# MINUTES  length of the training, after unpacking
# OPTION   of `earmark train`, e.g. --set data.batch=4 for a dry run without a GPU
#
# The state is written every two minutes and copied to OUT at once, so that an end without warning loses two minutes.
# EARMARK and PYTHON name the commands if they are not on PATH; POLL is the time in seconds between looks at the state.
set -euo pipefail

shards=$1 start=$2 out=$3 minutes=$4
shift 4
earmark=${EARMARK:-earmark}
work=$(mktemp -d)
training=$work/training
mkdir -p "$out"

if [ -e "$shards/unpack.py" ]; then
    "${PYTHON:-python3}" "$shards/unpack.py" "$work/shards"
    shards=$work/shards
fi
data=()
for folder in "$shards"/*/; do data+=(--data "$folder"); done

give_back() {  # parts of what the training has written so far; a state that is being replaced is whole or the last one
    for file in state.pt model.safetensors best.safetensors; do
        [ -e "$training/$file" ] || continue
        cp "$training/$file" "$work/copy"
        rm -f "$out/$file".part-*
        split --bytes=15M --numeric-suffixes "$work/copy" "$out/$file.part-"
    done
    for file in log.jsonl run.json model-card.md; do
        [ ! -e "$training/$file" ] || cp "$training/$file" "$out/"
    done
}
# shellcheck disable=SC2016 # expanded by join.sh
printf '%s\n' '#!/bin/sh' 'cd "$(dirname "$0")"' \
    'for first in *.part-00; do cat "${first%00}"?? > "${first%.part-00}"; done' > "$out/join.sh"
chmod +x "$out/join.sh"

"$earmark" train open-corpus "${data[@]}" -o "$training" --start-from "$start" --minutes "$minutes" --no-tensorboard \
    --set 'discriminators.kinds=["ms_stft"]' --set discriminators.filters=32 --set discriminators.start=0 \
    --set discriminators.alone=150 --set discriminators.compression=0.4 --set discriminators.rate=2 \
    --set losses.time=0.5 --set losses.mel=1 --set losses.log_mel=0.5 --set losses.compressed=2 \
    --set losses.adversarial=3 --set losses.features=3 --set data.batch=64 \
    --set optimizer.learning_rate=3e-4 --set optimizer.schedule=constant --set optimizer.weight_ema=0.999 \
    --set optimizer.clip=1 --set training.updates=1000000 --set training.seed=7 \
    --set validation.every=2000 --set checkpoints.seconds=120 "$@" > "$out/output.txt" 2>&1 &
running=$!
trap 'kill -TERM $running 2>/dev/null || true' INT TERM
seen=
while kill -0 "$running" 2>/dev/null; do
    sleep "${POLL:-5}"
    now=$(stat -c %Y "$training/state.pt" 2>/dev/null || true)
    if [ "$now" != "$seen" ]; then
        give_back
        seen=$now
    fi
done
status=0
wait "$running" || status=$?
give_back
tail -3 "$out/output.txt"
ls -l "$out"
exit "$status"
