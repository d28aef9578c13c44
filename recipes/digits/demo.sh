#!/bin/sh
# Transcribe real speech, then train, score and transcribe: what `make demo` runs. Needs nothing but an installed asr; pictures
# are drawn where matplotlib is installed too.
set -eu
cd "$(dirname "$0")/../.."
data=recipes/digits/data
clips=recipes/english/clips
rm -rf runs/demo   # the demo's own folder, so that it can be run again

echo "== Two real recordings, by the model of English that is part of the package (its very first use compiles the search)"
asr transcribe $clips/commission.opus $clips/idle-hour.opus
echo "what is said:"
cat $clips/commission.txt $clips/idle-hour.txt
echo
echo "the second with the start, duration and confidence of every word:"
asr transcribe $clips/idle-hour.opus --plain --format ctm
if python -c "import matplotlib" 2> /dev/null; then
    mkdir -p runs/demo
    asr plot spikes $clips/idle-hour.opus --output runs/demo/idle-hour.png
    echo "and as a picture, with the phones that the network hears: runs/demo/idle-hour.png"
fi

echo
echo "== Training a deep bidirectional LSTM on spoken digits and commands"
asr train recipes/digits/ctc.yaml run_dir=runs/demo

echo
echo "== Error rates on held-out voices"
asr evaluate runs/demo "$data/test.jsonl.gz" --worst 2 --json runs/demo/test.json
python -c '
import json, sys
wer = json.load(open("runs/demo/test.json"))["wer"]
sys.exit(f"word error rate {wer:.1%} is above the 5 % that the demo promises" if wer > 0.05 else 0)
'

echo
echo "== Two held-out files, with the time and confidence of every word"
for number in 1 2; do
    echo "ref: $(cat $data/example-$number.txt)"
    echo "hyp: $(asr transcribe $data/example-$number.opus --model runs/demo)"
    asr transcribe "$data/example-$number.opus" --model runs/demo --format ctm
done

cat <<'END'

== What next
your own files:       .venv/bin/asr transcribe FILES --model runs/demo
your own recordings:  .venv/bin/asr prepare folder DIR      (audio with side-by-side .txt, or a CSV)
real speech:          recipes/an4/README.md, recipes/english/README.md
END
