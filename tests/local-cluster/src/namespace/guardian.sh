#!/bin/sh
# Owns everything that a cluster leaves on the machine, and takes it away again.
#
# Standard input is a pipe that the cluster's owner holds open and never writes
# to: it ends when the owner lets go, on purpose or because it died in whatever
# way. Standard output is the lock on this cluster's number, kept until all is gone.
#
#   guardian.sh FOLDER LINK NAMESPACE-FLAG...
#
# LINK, the network device that leads into the cluster, may be empty.
folder=$1 link=$2
shift 2
trap '' HUP INT TERM

exec 3<&0
unshare "$@" --fork --kill-child --mount-proc sh "$folder/init.sh" "$folder" <&3 \
    >"$folder/logs/namespace.log" 2>&1 &
namespace=$!
echo "$namespace" >"$folder/namespace.pid"

cat <&3 >/dev/null

# The first process of the pid namespace reads the same pipe and has ended, too.
# The kernel then kills every other one and waits for it, and unshare waits for that.
wait "$namespace" 2>/dev/null

[ -n "$link" ] && ip link delete "$link" 2>/dev/null
# containerd keeps a folder for each container that has not been removed, and puts
# each in a cgroup of the same name. Nobody is left who would remove those.
for task in "$folder"/data/containerd/io.containerd.runtime.v2.task/k8s.io/*; do
    for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
        cgroup=$root/k8s.io/${task##*/}
        [ -d "$cgroup" ] && find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
        rmdir "$root/k8s.io" 2>/dev/null # unless another cluster has containers there
    done
done
if [ -e "$folder/keep" ]; then
    # What a person reads stays, what only programs read goes.
    rm -rf "$folder/data"
else
    rm -rf "$folder"
fi
exit 0
