#!/usr/bin/env bash
# Real clients on a real film, through the running binary.
#
#   tests/clients.sh
#
# Makes an MP4 with its index at the end, serves it from a plain origin, puts tidegate before it
# with an empty cache, and has each client that is installed do what it is known for. Each begins
# with a film that the cache has not seen. Ends with "N passed, N failed, N skipped".
#
#   TIDEGATE_BIN      the binary; the newest build in the target directory if unset
#   TIDEGATE_URL      a proxy that runs already, before the origin at ORIGIN_PORT; none is started
#   TIDEGATE_H2C_URL  the same proxy where it speaks HTTP/2 by prior knowledge
#   ORIGIN_PORT       the origin's port; any free one if unset
#   FILM_SECONDS      length of the film (60)

set -uo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-clients-XXXXXX")
started=()
passed=0 failed=0 skipped=0

finish() {
    if ((${#started[@]})); then
        kill "${started[@]}" 2>/dev/null
        wait "${started[@]}" 2>/dev/null
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

give_up() {
    echo "clients.sh: $*" >&2
    exit 1
}

installed() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || return 1
    done
}

# check TITLE "PROGRAMS IT NEEDS" FUNCTION: one client's step, its words shown only if it fails.
check() {
    local title=$1 needs=$2 step=$3 name
    for name in $needs; do
        if ! installed "$name"; then
            echo "skip  $title ($name is not installed)"
            ((skipped += 1))
            return
        fi
    done
    # Not as a condition: bash would ignore -e in it.
    (set -e; "$step") >"$work/words" 2>&1
    if (($? == 0)); then
        echo "ok    $title$(sed -n 's/^note: \(.*\)/ (\1)/p' "$work/words")"
        ((passed += 1))
    else
        echo "FAIL  $title"
        tail -n 20 "$work/words" | sed 's/^/      /'
        ((failed += 1))
    fi
}

# --- The film, and where it is to be had ----------------------------------------------------

make_film() {
    installed ffmpeg || give_up "ffmpeg makes the film and is not installed"
    mkdir "$work/files" && chmod 755 "$work" "$work/files"
    ffmpeg -v error -nostdin \
        -f lavfi -i "testsrc2=size=1280x720:rate=25,noise=alls=12:allf=t" \
        -f lavfi -i "sine=frequency=330:sample_rate=48000" \
        -t "${FILM_SECONDS:-60}" \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -b:v 5M -maxrate 6M -bufsize 6M \
        -c:a aac -b:a 128k "$work/files/film.mp4" || give_up "the film could not be made"
    film=$work/files/film.mp4
    size=$(stat -c %s "$film")
    index_is_at_the_end || give_up "the film's index is not at its end"
    echo "film: $((size / 1000000)) MB, its index at the end"
}

index_is_at_the_end() {
    local media index
    media=$(first_place mdat) && index=$(first_place moov) && ((media < index))
}

first_place() {
    LC_ALL=C grep -obUaF -m1 "$1" "$film" | head -n1 | cut -d: -f1
}

start_origin() {
    if installed nginx; then
        start_nginx
    elif installed python3; then
        python3 "$here/clients/origin.py" "$work/files" >"$work/port" 2>"$work/origin.log" &
        started+=($!)
        await "the origin" test -s "$work/port"
        origin=http://127.0.0.1:$(<"$work/port")
    else
        give_up "neither nginx nor python3 is installed to serve the film"
    fi
    await "the origin" answers "$origin/film.mp4"
}

start_nginx() {
    local port=${ORIGIN_PORT:-$(free_port)}
    cat >"$work/nginx.conf" <<END
$( ((EUID == 0)) && echo "user root;")
daemon off;
master_process off;
pid $work/nginx.pid;
error_log stderr;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  scgi_temp_path $work/scgi;
  uwsgi_temp_path $work/uwsgi;
  types { video/mp4 mp4; }
  server {
    listen 127.0.0.1:$port;
    root $work/files;
    add_header Cache-Control "max-age=3600";
  }
}
END
    nginx -e stderr -p "$work" -c "$work/nginx.conf" 2>"$work/origin.log" &
    started+=($!)
    origin=http://127.0.0.1:$port
}

# A port that nobody has now, from the range that the system gives nobody by itself.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); do
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

await() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 200; tries++)); do
        "$@" && return
        sleep 0.05
    done
    give_up "$what did not come up: $(cat "$work"/*.log 2>/dev/null | tail -n 5)"
}

answers() {
    local rest=${1#http://}
    (: <>"/dev/tcp/${rest%%[:/]*}/$(sed 's/.*:\([0-9]*\).*/\1/' <<<"$rest")") 2>/dev/null
}

# --- The proxy ------------------------------------------------------------------------------

start_proxy() {
    local binary=${TIDEGATE_BIN:-$(newest_build)}
    [[ -x $binary ]] || give_up "no binary; build one, or name it in TIDEGATE_BIN"
    cat >"$work/tidegate.yaml" <<END
listen:
  - address: 127.0.0.1:0
  - address: 127.0.0.1:0
    h2c: true
cache:
  directory: $work/cache
  max_size: 2GiB
origins:
  film:
    servers:
      - url: $origin
routes:
  - path: /
    origins: [film]
END
    "$binary" run --config "$work/tidegate.yaml" 2>"$work/tidegate.log" &
    started+=($!)
    await "tidegate" listening_twice
    url=$(listener 1)
    h2c_url=$(listener 2)
}

newest_build() {
    local target=${CARGO_TARGET_DIR:-$here/../target}
    ls -t "$target"/release/tidegate "$target"/debug/tidegate 2>/dev/null | head -n1
}

listening_twice() {
    (($(grep -c 'listening on http://' "$work/tidegate.log") == 2))
}

listener() {
    grep -o 'listening on http://[^ ]*' "$work/tidegate.log" | sed -n "s/listening on //;$1p"
}

# fresh NAME: the URL of the film under a name that nobody has asked for yet.
fresh() {
    ln -f "$film" "$work/files/$1.mp4"
    echo "$url/$1.mp4"
}

# --- The clients ----------------------------------------------------------------------------

# probe: what ffprobe says of a film, without its name.
probe() {
    ffprobe -v error -show_format -show_streams -of compact "$1" | sed 's/filename=[^|]*|//'
}

with_ffprobe() {
    local remote
    remote=$(fresh ffprobe)
    probe "$film" >"$work/here"
    probe "$remote" >"$work/there"
    diff "$work/here" "$work/there"
}

# frames URL [OPTION...]: the hash of each decoded frame; anything amiss is an error.
frames() {
    local input=$1
    shift
    ffmpeg -nostdin -v error -xerror "$@" -i "$input" -f framemd5 - 2>"$work/complaints"
    if [[ -s $work/complaints ]]; then
        cat "$work/complaints" >&2
        return 1
    fi
}

same_frames() {
    local remote=$1
    shift
    frames "$film" "$@" >"$work/here"
    frames "$remote" "$@" >"$work/there"
    cmp "$work/here" "$work/there"
    echo "note: $(grep -vc '^#' "$work/there") frames"
}

with_ffmpeg_whole() {
    same_frames "$(fresh ffmpeg-whole)"
}

with_ffmpeg_seek() {
    same_frames "$(fresh ffmpeg-seek)" -ss "$((${FILM_SECONDS:-60} * 9 / 10)).35"
}

# Back and forth in one film that is cold at first.
with_ffmpeg_seeks() {
    local remote place
    remote=$(fresh ffmpeg-seeks)
    for place in 7 2 8 1 5; do
        same_frames "$remote" -ss "$((${FILM_SECONDS:-60} * place / 10)).1" -t 2
    done >/dev/null
    echo "note: 5 places"
}

with_aria2c() {
    local remote
    remote=$(fresh aria2c)
    aria2c --no-conf -q -x8 -s8 -k1M --file-allocation=none -d "$work" -o aria2c.got "$remote"
    cmp "$film" "$work/aria2c.got"
}

with_curl_whole() {
    local remote
    remote=$(fresh curl-whole)
    curl -sSf -o "$work/whole.got" "$remote"
    cmp "$film" "$work/whole.got"
}

# A client that leaves in the middle, and comes back for the rest.
with_curl_resume() {
    local remote
    remote=$(fresh curl-resume)
    curl -s "$remote" | head -c "$((size / 3 + 7))" >"$work/resume.got" || true
    (($(stat -c %s "$work/resume.got") == size / 3 + 7))
    curl -sSf -C - -o "$work/resume.got" "$remote"
    cmp "$film" "$work/resume.got"
}

with_curl_h2c() {
    local remote first=$((size * 8 / 10 + 3)) version
    remote=$(fresh curl-h2c)
    remote=$h2c_url/${remote##*/}
    version=$(curl -sSf --http2-prior-knowledge -r "$first-$((first + 999999))" \
        -o "$work/part.got" -w '%{http_version} %{http_code}' "$remote")
    [[ $version == "2 206" ]]
    cmp "$work/part.got" <(tail -c +$((first + 1)) "$film" | head -c 1000000)
    curl -sSf --http2-prior-knowledge -o "$work/h2c.got" "$remote"
    cmp "$film" "$work/h2c.got"
}

with_browser() {
    local remote report
    remote=$(fresh browser)
    report=$(timeout 90 python3 "$here/clients/browser.py" "$browser" "$remote") || {
        echo "$report"
        return 1
    }
    echo "note: $report"
}

# --- All of it ------------------------------------------------------------------------------

make_film
start_origin
if [[ -n ${TIDEGATE_URL:-} ]]; then
    url=${TIDEGATE_URL%/}
    h2c_url=${TIDEGATE_H2C_URL:-}
else
    start_proxy
fi

check "ffprobe reads the index at the end of a cold film" ffprobe with_ffprobe
check "ffmpeg decodes the whole cold film, frame for frame" ffmpeg with_ffmpeg_whole
check "ffmpeg seeks to 90 % of a cold film, frame for frame" ffmpeg with_ffmpeg_seek
check "ffmpeg seeks back and forth in one film" ffmpeg with_ffmpeg_seeks
check "aria2c fetches a cold film in eight parts" aria2c with_aria2c
check "curl fetches a cold film whole" curl with_curl_whole
check "curl leaves a third into a cold film and resumes" curl with_curl_resume
if [[ -n ${h2c_url:-} ]]; then
    check "curl fetches a part and the whole over cleartext HTTP/2" curl with_curl_h2c
else
    echo "skip  curl over cleartext HTTP/2 (no TIDEGATE_H2C_URL)"
    ((skipped += 1))
fi
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
check "a browser plays a cold film, seeks to 80 % and plays on" \
    "${browser:-chromium} python3" with_browser

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
