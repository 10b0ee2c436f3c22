#!/bin/sh
# Runs a command with a private /run and /etc, as the first process of new namespaces.
#
# Everything that a benchmark names (network namespaces, labs, their files) is named in here, so it
# clashes with nothing of the machine, and is gone when the first process ends, however it ends.
#
# usage: unshare --mount --pid --net --fork --kill-child --mount-proc scratch.sh COMMAND...
set -e
mount -t tmpfs -o mode=755 tmpfs /run
# labctl and ip(8) look for hosts files in /etc/netns, which not every machine has.
own=/run/labctl-benchmark
mkdir -p "$own/etc" "$own/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$own/etc,workdir=$own/work" overlay /etc
# No exec: the shell stays to reap what loses its parent.
"$@"
