#!/usr/bin/env bash
# Two edges that share a real distributed object store: Garage, three nodes with replication, all on
# loopback.
#
#   tests/garage.sh
#
# One edge is filled by the origin; the other, with an empty disk, serves the same from the tier
# without an origin byte; one node of Garage is killed while ranges are asked for; an edge is wiped
# and started again. Every byte is compared. Prints what it has measured, and ends with "all well".
#
#   GARAGE        the server; found in PATH if unset (cargo install garage --locked)
#   TIDEGATE_BIN  the binary; the newest build in the target directory if unset
#   FILM_MB       size of the film (256)
#   SECONDS_LOAD  how long ranges are asked for while a node dies (15)
#
# Needs nginx, curl and python3.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-garage-XXXXXX")
started=()

finish() {
    if ((${#started[@]})); then
        kill "${started[@]}" 2>/dev/null || true
        wait "${started[@]}" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

give_up() {
    echo "garage.sh: $*" >&2
    exit 1
}

# within SECONDS WHAT COMMAND…: waits until a command succeeds.
within() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < until)) || give_up "waited in vain for $what"
        sleep 0.1
    done
}

free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

garage=${GARAGE:-$(command -v garage || true)}
[[ -x $garage ]] || give_up "Garage is not here: cargo install garage --locked, or say where it is in GARAGE"
for program in nginx curl python3; do
    command -v "$program" >/dev/null || give_up "$program is not installed"
done
target=${CARGO_TARGET_DIR:-$here/../target}
tidegate=${TIDEGATE_BIN:-$(ls -t "$target"/{release,debug}/tidegate 2>/dev/null | head -1)}
[[ -x $tidegate ]] || give_up "build tidegate first (cargo build --release), or say where it is in TIDEGATE_BIN"

film_mb=${FILM_MB:-256}
read -r -a port <<<"$(free_ports 14)"
secret=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')

# --- Garage: three nodes, each byte on all of them -----------------------------------------------
for n in 1 2 3; do
    mkdir -p "$work/node$n"
    cat >"$work/node$n/garage.toml" <<TOML
metadata_dir = "$work/node$n/meta"
data_dir = "$work/node$n/data"
db_engine = "sqlite"
replication_factor = 3
compression_level = "none"
rpc_bind_addr = "127.0.0.1:${port[$((n - 1))]}"
rpc_public_addr = "127.0.0.1:${port[$((n - 1))]}"
rpc_secret = "$secret"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:${port[$((n + 2))]}"
root_domain = ".s3.garage.localhost"
TOML
    RUST_LOG=garage=warn "$garage" -c "$work/node$n/garage.toml" server >"$work/node$n/log" 2>&1 &
    started+=($!)
    node_pid[n]=$!
done
on() { local n=$1; shift; "$garage" -c "$work/node$n/garage.toml" "$@" 2>>"$work/garage.err"; }
for n in 1 2 3; do
    within 30 "node $n" on "$n" node id -q
    within 30 "node $n to answer" on "$n" status
    id[n]=$(on "$n" node id -q)
done
for n in 2 3; do on 1 node connect "${id[n]}" >/dev/null; done
for n in 1 2 3; do on 1 layout assign -z dc1 -c 4G "${id[n]%%@*}" >/dev/null; done
on 1 layout apply --version 1 >/dev/null
within 30 "the bucket" on 1 bucket create films
key=$(on 1 key create edges)
access=$(sed -n 's/^Key ID: *//p' <<<"$key")
own=$(sed -n 's/^Secret key: *//p' <<<"$key")
[[ -n $access && -n $own ]] || give_up "Garage gives no key: $key"
on 1 bucket allow --read --write --owner films --key edges >/dev/null

# --- the origin ----------------------------------------------------------------------------------
mkdir -p "$work/origin/files"
head -c "${film_mb}M" /dev/urandom >"$work/origin/files/film.mp4"
cat >"$work/origin/nginx.conf" <<CONF
daemon off; user $(id -un); worker_processes 1; pid $work/origin/pid; error_log $work/origin/error.log;
events { worker_connections 512; }
http {
    log_format bytes '\$body_bytes_sent';
    access_log $work/origin/access.log bytes;
    client_body_temp_path $work/origin/t1; proxy_temp_path $work/origin/t2;
    fastcgi_temp_path $work/origin/t3; uwsgi_temp_path $work/origin/t4; scgi_temp_path $work/origin/t5;
    server { listen 127.0.0.1:${port[6]}; root $work/origin/files; add_header Cache-Control max-age=3600; }
}
CONF
nginx -c "$work/origin/nginx.conf" -e "$work/origin/error.log" &
started+=($!)
origin_bytes() { awk '{ sum += $1 } END { print sum + 0 }' "$work/origin/access.log"; }

# --- the edges -----------------------------------------------------------------------------------
# edge NAME LISTEN ADMIN S3: starts one with the disk that it has.
edge() {
    local name=$1 listen=$2 admin=$3 s3=$4
    mkdir -p "$work/$name"
    cat >"$work/$name/tidegate.yaml" <<YAML
listen: [{address: 127.0.0.1:$listen}]
admin: {address: 127.0.0.1:$admin}
cache: {directory: $work/$name/cache}
origins: {media: {servers: [{url: "http://127.0.0.1:${port[6]}"}]}}
routes: [{path: /, origins: [media]}]
tier:
  kind: s3
  bucket: films
  region: garage
  endpoint: http://127.0.0.1:$s3
  access_key: {env: TIER_ACCESS_KEY}
  secret_key: {env: TIER_SECRET_KEY}
  linger: 1s
YAML
    TIER_ACCESS_KEY=$access TIER_SECRET_KEY=$own \
        "$tidegate" run --config "$work/$name/tidegate.yaml" >>"$work/$name/log" 2>&1 &
    started+=($!)
    edge_pid=$!
    within 30 "$name to serve" curl -sf "http://127.0.0.1:$admin/readyz"
}
metric() { curl -s "http://127.0.0.1:$1/metrics" | awk -v name="$2" 'index($1, name) == 1 { sum += $2 } END { print sum + 0 }'; }
film=$work/origin/files/film.mp4
# All edges go by one name, as they do in a fleet: it is part of the key.
fetch() { curl -sf -H "Host: films.example" -o "$work/got" "http://127.0.0.1:$1/film.mp4" && cmp -s "$work/got" "$film"; }
seconds() { local began=$EPOCHREALTIME; "$@" || return 1; awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'; }

edge first "${port[7]}" "${port[8]}" "${port[3]}"
TIER_ACCESS_KEY=$access TIER_SECRET_KEY=$own "$tidegate" check --online --config "$work/first/tidegate.yaml"
took=$(seconds fetch "${port[7]}") || give_up "the first edge does not serve the film"
echo "filled by the origin:         $took s, origin $(($(origin_bytes) / 1000000)) MB"
uploaded() { (($(metric "${port[8]}" 'tidegate_tier_bytes_total{direction="written"}') >= film_mb * 1048576)) && (($(metric "${port[8]}" tidegate_tier_uploads_waiting) == 0)); }
began=$SECONDS
within 120 "the uploads" uploaded
sleep 2
echo "uploaded, behind:             $((SECONDS - began)) s more"

before=$(origin_bytes)
edge second "${port[9]}" "${port[10]}" "${port[4]}"
second_pid=$edge_pid
took=$(seconds fetch "${port[9]}") || give_up "the second edge does not serve the film"
echo "an empty edge, from the tier: $took s, origin $(($(origin_bytes) - before)) bytes"
(($(origin_bytes) == before)) || give_up "the origin was asked"

# --- a node dies under load ----------------------------------------------------------------------
edge third "${port[11]}" "${port[12]}" "${port[4]}"
third_pid=$edge_pid
cat >"$work/load.py" <<'PY'
import http.client, random, sys, threading, time
port, film, seconds = int(sys.argv[1]), open(sys.argv[2], "rb").read(), float(sys.argv[3])
until, wrong, done, slowest = time.time() + seconds, [], [0], [0.0]
def work(seed):
    dice = random.Random(seed)
    while time.time() < until and not wrong:
        first = dice.randrange(len(film)); last = min(len(film) - 1, first + dice.randrange(1, 3_000_000))
        began = time.time()
        try:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            client.request("GET", "/film.mp4", headers={"Host": "films.example", "Range": f"bytes={first}-{last}"})
            answer = client.getresponse(); body = answer.read(); client.close()
        except Exception as e:
            wrong.append(repr(e)); return
        slowest[0] = max(slowest[0], time.time() - began)
        if answer.status != 206 or body != film[first:last + 1]:
            wrong.append(f"{answer.status} {first}-{last}"); return
        done[0] += 1
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(f"{done[0]} ranges, slowest {slowest[0]:.2f} s, wrong or failed {len(wrong)} {wrong[:3]}")
sys.exit(bool(wrong))
PY
before=$(origin_bytes)
python3 "$work/load.py" "${port[11]}" "$film" "${SECONDS_LOAD:-15}" >"$work/load" &
load=$!
sleep 1
kill -9 "${node_pid[3]}"
wait "$load" || give_up "a node died: $(cat "$work/load")"
echo "a node of three killed:       $(cat "$work/load"), origin $(($(origin_bytes) - before)) bytes"

# --- an edge loses its disk ----------------------------------------------------------------------
kill "$second_pid"
wait "$second_pid" 2>/dev/null || true
rm -rf "$work/second/cache"
before=$(origin_bytes)
edge second "${port[9]}" "${port[10]}" "${port[4]}"
python3 "$work/load.py" "${port[9]}" "$film" 5 >"$work/load" || give_up "after the loss of a disk: $(cat "$work/load")"
hits=$(metric "${port[10]}" 'tidegate_requests_total{' )
echo "an edge wiped and restarted:  $(cat "$work/load"), $hits requests, origin $(($(origin_bytes) - before)) bytes"
(($(origin_bytes) == before)) || give_up "the origin was asked"
kill "$third_pid" 2>/dev/null || true
echo "all well"
