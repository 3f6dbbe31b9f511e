# Process 1 of a node: makes the namespaces look like a machine of its own, then keeps containerd and kubelet running,
# in place of systemd. $1: the node's folder; $2: its host name. All that is mounted here goes with the mount namespace.
set -eu
folder=$1 name=$2 sysctls="vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes"
hostname "$name"
mount --make-rprivate /
mount --make-rshared /

# The machine's files stay as they are: writes below these folders go to the node's own. The last is for the volume plugins
# of controller-manager, whose folder kubelet makes.
for top in etc var usr/libexec; do
  mkdir -p "$folder/$top/upper" "$folder/$top/work"
  mount -t overlay overlay -o "lowerdir=/$top,upperdir=$folder/$top/upper,workdir=$folder/$top/work" "/$top"
done
# containerd's snapshots cannot lie on an overlay, and kubelet's volumes are shared mounts.
for place in lib/kubelet lib/containerd lib/etcd log/pods log/containers; do
  mkdir -p "/var/$place" "$folder/var/$place"
  mount --bind "$folder/var/$place" "/var/$place"
  mount --make-rshared "/var/$place"
done
if [ ! -e "$folder/booted" ]; then # a later start is a reboot: the node's own files stay
  rm -rf /etc/kubernetes /etc/cni
  mkdir -p /etc/kubernetes /etc/cni/net.d
  cp "$folder/cni.conflist" /etc/cni/net.d/10-node.conflist
  touch "$folder/booted"
fi
mount -t tmpfs -o mode=755 tmpfs /run

# kubelet sets these for the whole machine: here it writes into files.
for sysctl in $sysctls; do
  [ -e "/proc/sys/$sysctl" ] || continue
  mkdir -p "$folder/sysctl"
  copy=$folder/sysctl/$(echo "$sysctl" | tr / .)
  cat "/proc/sys/$sysctl" >"$copy"
  mount --bind "$copy" "/proc/sys/$sysctl"
done

mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
while read -r controller hierarchy _ enabled; do
  case $controller in '#'*) continue ;; esac
  [ "$enabled" = 1 ] && [ "$hierarchy" != 0 ] || continue
  mkdir "/sys/fs/cgroup/$controller"
  mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done </proc/cgroups
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd

# Its network: both ends of a veth pair lie in the namespace, so that no interface of the machine is touched.
ip link set lo up
ip link add eth0 type veth peer name uplink
ip link set uplink up
ip link set eth0 up
ip addr add 10.10.0.2/24 dev eth0
ip route add default via 10.10.0.1 dev eth0
echo 1 >/proc/sys/net/ipv4/ip_forward
printf '127.0.0.1 localhost\n10.10.0.2 %s\n' "$name" >/etc/hosts
printf 'nameserver 10.10.0.1\n' >/etc/resolv.conf

until_ended() { # keeps a program running
  while :; do
    "$@" || true
    sleep 1
  done
}
export PATH="$folder/bin:$PATH"
until_ended containerd --config "$folder/containerd.toml" >>"$folder/logs/containerd.log" 2>&1 &
kubelet_flags="--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf
  --config=/var/lib/kubelet/config.yaml"
touch /run/up
while :; do
  if [ -e /var/lib/kubelet/config.yaml ] && [ -e /var/lib/kubelet/kubeadm-flags.env ]; then
    . /var/lib/kubelet/kubeadm-flags.env
    # shellcheck disable=SC2086
    kubelet $kubelet_flags ${KUBELET_KUBEADM_ARGS:-} >>"$folder/logs/kubelet.log" 2>&1 || true
  fi
  sleep 0.2
done
