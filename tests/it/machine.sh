#!/bin/sh
# A machine that systemd runs, made of this one: its root file system under a layer that takes what
# is written, and processes, network, mounts and control groups of its own. It lives until standard
# input ends, and its keeper, this script, as long as it does. On standard output: the process whose
# child is systemd.
#
#   machine.sh FOLDER     FOLDER is /run/shared in the machine; its notify hears that it has started
#
# A control group namespace comes first: mounted outside of one, control groups take the options of
# this mount everywhere.
set -eu
folder=$1 stage=${2:-outside}

case $stage in
outside)
    exec unshare --mount --cgroup -- "$0" "$folder" group
    ;;

group)
    # A group for the machine, so that nothing of it is left in this one's.
    mkdir "$folder/groups"
    mount -t cgroup2 cgroup2 "$folder/groups"
    group=$folder/groups/tidegate-test-$$
    mkdir "$group"
    sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$group" \
        unshare --net --pid --mount --uts --ipc --cgroup --fork --kill-child -- \
        "$0" "$folder" inside </dev/null >&2 &
    machine=$!
    echo "$machine"
    # Whoever wants the machine has enough of it, or is gone.
    exec 3<&0
    { cat >/dev/null && kill -KILL "$machine"; } <&3 2>/dev/null &
    guard=$!
    wait "$machine" 2>/dev/null || true
    kill "$guard" 2>/dev/null || true
    # Its processes may take a moment to go.
    for _ in $(seq 100); do
        grep -qx 'populated 0' "$group/cgroup.events" && break
        sleep 0.1
    done
    find "$group" -depth -type d -exec rmdir {} +
    ;;

inside)
    root=$folder/root layers=$folder/layers
    mkdir "$root" "$layers"
    mount -t tmpfs tmpfs "$layers"
    mkdir "$layers/upper" "$layers/work"
    mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$root"
    # As in any container: the kernel's settings belong to the machine around it.
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/run/shared" "$root/run/around"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount --bind "$folder" "$root/run/shared"
    cd "$root"
    pivot_root . run/around
    umount -l run/around
    # Mounts reach the services, credentials above all. A first process does so by itself only where
    # there is nothing around it.
    mount --make-rshared /
    # Of systemd's own units those that a service needs, and none of this machine's.
    rm -rf etc/fstab etc/machine-id etc/systemd/system/* \
        lib/systemd/system/*.wants lib/systemd/system-generators/*
    mkdir -p etc/systemd/system
    : >etc/machine-id
    printf '[Unit]\nRequires=basic.target systemd-journald.service\n' >etc/systemd/system/machine.target
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        NOTIFY_SOCKET=/run/shared/notify \
        /lib/systemd/systemd --system --unit=machine.target
    ;;
esac
