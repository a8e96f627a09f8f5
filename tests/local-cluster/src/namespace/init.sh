#!/bin/sh
# The first process of a cluster's namespaces. When it ends, for whatever
# reason, the kernel ends every other process in them.
#
#   init.sh FOLDER
if [ -e "$1/own-network" ]; then
    ip link set lo up || exit 1
    # Mounts made here never reach the machine, but do reach the pods that ask for them.
    mount --make-rshared / || exit 1
    # Sockets and state that programs keep below /run stay in here, and so does
    # what kubelet and CNI insist on writing to fixed places.
    mount -t tmpfs tmpfs /run || exit 1
    for place in /var/lib /var/log; do
        mkdir -p /run/private$place/new /run/private$place/work
        mount -t overlay overlay $place \
            -o lowerdir=$place,upperdir=/run/private$place/new,workdir=/run/private$place/work ||
            mount -t tmpfs tmpfs $place || exit 1
    done
fi
: >"$1/ready"

# Standard input ends when the cluster's owner lets go of it. Waiting also
# collects the orphans of a pid namespace, which are this process's to collect.
exec 3<&0
cat <&3 >/dev/null &
wait $!
