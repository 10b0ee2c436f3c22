#!/bin/sh
# Process 1 of the guest: makes a root in which the host's files can be read and anything may be
# written without the host seeing it, runs one command there, and ends the guest.
#
# HOST_FOLDER, from the kernel's command line, is the one folder that guest and host share: it
# has the command, the modules and a link to the command's folder, and gets the output and the
# exit code. AT_MOST_S is the longest time that the guest may run, should nobody on the host be
# there any more to end it.

set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root

halt_guest() {
	echo o >/proc/sysrq-trigger
	exec sleep infinity
}

must() {
	"$@" || {
		echo "the guest cannot start: $*"
		halt_guest
	}
}

mount -t proc proc /proc
must mount -t tmpfs run /run
must modprobe -d "$HOST_FOLDER/modules" -a overlay ipv6
must mkdir /run/root /run/written /run/written/upper /run/written/work
must mount -t overlay root /run/root \
	-o lowerdir=/,upperdir=/run/written/upper,workdir=/run/written/work
must cd /run/root
for kind in proc:proc sysfs:sys devtmpfs:dev tmpfs:run tmpfs:tmp; do
	must mount -t "${kind%:*}" "${kind#*:}" "${kind#*:}"
done
chmod 1777 tmp
# The rest of the host's /tmp, in which other tests work meanwhile, is not to be seen.
cwd=$(readlink "$HOST_FOLDER/cwd")
case $cwd in
/tmp/*)
	must mkdir -p ".$cwd"
	must mount --bind "$cwd" ".$cwd"
	;;
esac
# Nor are the names that labs of the host have there at the moment. A folder made anew hides what
# is below it; a mount would keep user namespaces from laying an overlay over /etc.
must rm -rf etc/netns
must mkdir etc/netns
must mkdir run/host run/old run/netns run/lock dev/pts dev/shm
# As ip-netns(8) would make it with the first name, which would look like something left behind.
must mount --bind run/netns run/netns
must mount -t devpts -o newinstance,ptmxmode=0666,mode=620 pts dev/pts
must mount -t tmpfs shm dev/shm
must mount -t hostfs host run/host -o "$HOST_FOLDER"
must pivot_root . run/old
must cd /
umount -l /run/old

ln -sf pts/ptmx /dev/ptmx
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
# The kernel loads what it is asked for (veth, sch_netem) by itself.
echo /run/host/modprobe >/proc/sys/kernel/modprobe
ip link set lo up

{
	sleep "$AT_MOST_S"
	echo o >/proc/sysrq-trigger
} &

/run/host/command </dev/null >/run/host/output 2>&1
echo $? >/run/host/exit_code.part
mv /run/host/exit_code.part /run/host/exit_code
halt_guest
