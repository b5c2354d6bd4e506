#!/bin/sh
# Shows that the temporal layers of a clip hold: whatever upper layers are left out, every picture that remains decodes to
# exactly the same samples as with all of them. Needs ffmpeg.
#
#   ./check.sh CLIP.ivf...
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The hashes of the decoded pictures, one per line. Everything the decoder complains about lands in the list and fails the check.
pictures() {
    ffmpeg -hide_banner -loglevel warning -nostdin -i "$1" -fps_mode passthrough -f framemd5 - 2>&1 |
        sed -e '/^#/d' -e 's/.*, *//'
}

# Arguments: clip, frames to drop as an expression over the frame's number n, what that is, whether strangers are expected.
check() {
    ffmpeg -hide_banner -loglevel error -nostdin -y -i "$1" -c copy -copyts -bsf:v "noise=drop='$2'" "$scratch/less.ivf"
    pictures "$scratch/less.ivf" >"$scratch/less"
    # Not one that does not occur in the whole clip.
    strangers=$(grep -vxFc -f "$scratch/whole" "$scratch/less" || true)
    printf '%s: %s: %s pictures, %s differ\n' "$1" "$3" "$(wc -l <"$scratch/less")" "$strangers"
    if [ "$4" = none ]; then [ "$strangers" -eq 0 ]; else [ "$strangers" -gt 0 ]; fi
}

for clip in "$@"; do
    pictures "$clip" >"$scratch/whole"
    check "$clip" 'eq(mod(n,2),1)' 'without T2' none
    check "$clip" 'gt(mod(n,4),0)' 'without T2 and T1' none
    check "$clip" 'gt(mod(n,4),1)' 'T0 and the first T2 (a base layer sync)' none
    check "$clip" 'eq(mod(n,4),2)' 'without T1 but with the second T2 (must differ)' some
done
