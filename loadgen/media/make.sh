#!/bin/sh
# Makes the clips of this directory from a film. Needs ffmpeg (with libvpx, libx264, libopus, libfreetype), espeak-ng and the
# DejaVu fonts, as Debian packages them. Nothing of this is needed to build, test or run the project: the results are committed.
#
#   ./make.sh FILM [OUTPUT_DIRECTORY]
set -eu

if [ $# -lt 1 ] || [ ! -f "$1" ]; then
    echo "usage: $0 FILM [OUTPUT_DIRECTORY]" >&2
    exit 2
fi
film=$1
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-$here}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"

# Same input, same bytes: no dates, no encoder banners, one thread per encoder.
run() {
    ffmpeg -hide_banner -loglevel warning -nostdin -y "$@"
}
plain="-map_metadata -1 -fflags +bitexact -threads 1"

# VP8 as a conference encodes it: constant bit rate, no look-ahead, error resilient. Key frames are 64 frames apart, which is a
# multiple of the layers' period, so that each stands where a base layer frame does; 128 frames make a loop.
# Arguments: height, width, rate in kbit/s, output file.
#
# Layering mode 3 of ffmpeg's libvpx wrapper, ids 0 2 1 2: T0 refers to the last T0; T1 to the last T0 (kept in the golden
# buffer); the first T2 to the last T0; the second T2 to T1. T2 is never referred to.
camera_vp8() {
    layers="ts_number_layers=3:ts_target_bitrate=$(($3 * 40 / 100)),$(($3 * 60 / 100)),$3"
    layers="$layers:ts_rate_decimator=4,2,1:ts_periodicity=4:ts_layer_id=0,2,1,2:ts_layering_mode=3"
    # shellcheck disable=SC2086
    run -i "$film" -map 0:v:0 -vf "framerate=fps=30,scale=$2:$1" -frames:v 128 -pix_fmt yuv420p $plain \
        -c:v libvpx -quality realtime -cpu-used 2 -lag-in-frames 0 -auto-alt-ref 0 -error-resilient default+partitions \
        -g 9999 -force_key_frames 'expr:eq(mod(n,64),0)' -b:v "$3k" -minrate "$3k" -maxrate "$3k" -bufsize "$3k" \
        -ts-parameters "$layers" -f ivf "$4"
}

# H.264 constrained baseline: no B frames, one slice per picture, one key frame at the start, parameter sets in the stream.
# x264 writes its settings as an SEI message, which is dropped here. Arguments as above.
camera_h264() {
    # shellcheck disable=SC2086
    run -i "$film" -map 0:v:0 -vf "framerate=fps=30,scale=$2:$1" -frames:v 150 -pix_fmt yuv420p $plain \
        -c:v libx264 -profile:v baseline -preset medium -tune zerolatency -bf 0 -refs 1 -slices 1 -g 9999 \
        -x264-params "scenecut=0:sliced-threads=0:keyint=infinite" \
        -b:v "$3k" -maxrate "$3k" -bufsize "$3k" -bsf:v filter_units=remove_types=6 -f h264 "$4"
}

# A page of text that is read for two seconds, scrolled for two, and read again.
screen_vp8() {
    scroll='if(lt(t,1.8),20,if(lt(t,3.8),20-floor((t-1.8)*5)*36,20-360))'
    # shellcheck disable=SC2086
    run -f lavfi -i "color=c=white:s=1280x720:r=5:d=5" \
        -vf "drawtext=font=DejaVu Sans Mono:textfile=$here/page.txt:fontsize=21:line_spacing=5:fontcolor=black:x=60:y='$scroll'" \
        -frames:v 25 -pix_fmt yuv420p $plain -c:v libvpx -quality realtime -cpu-used 0 -lag-in-frames 0 -auto-alt-ref 0 \
        -error-resilient default+partitions -g 9999 -b:v 400k -qmin 4 -qmax 40 -f ivf "$1"
}

# One sentence and a pause, 5 s, in packets of 20 ms. Variable bit rate, so that pauses are small packets.
# Arguments: number, voice, speed in words per minute.
speech_opus() {
    espeak-ng -v "$2" -s "$3" -f "$here/speech-$1.txt" -w "$scratch/speech-$1.wav"
    # shellcheck disable=SC2086
    run -i "$scratch/speech-$1.wav" -af "aresample=48000,adelay=100,apad=whole_dur=5" -t 5 -ac 1 $plain \
        -c:a libopus -b:a 32k -vbr on -application voip -frame_duration 20 -flags:a +bitexact -f ogg "$out/speech-$1.ogg"
}

camera_vp8 1080 1920 3000 "$out/camera-1080p30.ivf"
camera_vp8 720 1280 1500 "$out/camera-720p30.ivf"
camera_vp8 360 640 500 "$out/camera-360p30.ivf"
camera_vp8 180 320 150 "$out/camera-180p30.ivf"
camera_h264 720 1280 800 "$out/camera-720p30.h264"
camera_h264 360 640 300 "$out/camera-360p30.h264"
screen_vp8 "$out/screen-720p5.ivf"
speech_opus 1 en-gb 150
speech_opus 2 en-us+f3 155
speech_opus 3 en-gb-scotland+m3 160
speech_opus 4 en-us+f2 150
