#!/bin/busybox sh
# The guest's first process: mounts what programs expect, runs /job/run.sh with its output on the second serial
# line, puts its exit code and /out on the disk as a tar archive, and turns the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
mount -t tmpfs none /tmp
mount -t bpf none /sys/fs/bpf
mkdir -p /dev/pts /var/run
mount -t devpts none /dev/pts
ulimit -n 65536
ip link set lo up
modprobe virtio_pci
modprobe virtio_blk
stty -F /dev/ttyS1 raw -echo
cd /job || poweroff -f
/bin/dash ./run.sh >/dev/ttyS1 2>&1 </dev/null
echo $? >/out/.code
tar -cf /dev/vda -C /out .
sync
poweroff -f
