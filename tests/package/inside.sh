#!/bin/bash
# Inside of a Debian 12 that has nothing else: installs the package beside this file, runs the node
# as its container does, and removes it again.
set -eux
cd /srv
apt-get update -qq
apt-get install -y --no-install-recommends ./kcs_*.deb
id kcs
[ "$(stat -c '%U:%G %a' /etc/kcs/hs256.secret)" = "root:kcs 640" ]
[ "$(wc -c </etc/kcs/hs256.secret)" = 64 ]
kcsctl check control >/dev/null
kcsctl check dataplane >/dev/null
for unit in kcs-dataplane.service kcs-control.service; do
    [ -L "/etc/systemd/system/multi-user.target.wants/$unit" ]
done
kcsctl completion bash | cmp - /usr/share/bash-completion/completions/kcsctl
grep -q '^#compdef kcsctl' /usr/share/zsh/vendor-completions/_kcsctl
[ -s /usr/share/doc/kcs/runbooks.md ]
kcs-loadgen --manual | gzip -9n | cmp - /usr/share/man/man1/kcs-loadgen.1.gz
for page in /usr/share/man/man*/kc*; do
    gzip -t "$page"
done

# as conf/docker/Dockerfile has it, on ports of its own
sed -i 's/^  devices: \[auto\]/  devices: ["udp:127.0.0.1"]/; s/^  port: 40000/  port: 41911/' /etc/kcs/dataplane.yaml
sed -i 's/port: 8080/port: 18911/; s/metrics_port: 9090/metrics_port: 19911/' /etc/kcs/control.yaml
install -d -o kcs -g kcs /run/kcs /var/lib/kcs
install -m 755 node.sh /usr/local/bin/kcs-node
setpriv --reuid kcs --regid kcs --init-groups kcs-node >node.log 2>&1 &
node=$!
trap 'kill "$node" 2>/dev/null || true; cat node.log' EXIT
for _ in $(seq 100); do
    ! kcsctl node --json 2>/dev/null | grep '"attached": true' || break
    sleep 0.2
done
kcsctl node
kcsctl node --json | grep '"attached": true'
exec 3<>/dev/tcp/127.0.0.1/18911
printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&3
head -n 1 <&3 | grep ' 200 ' # the page is where the configuration says
exec 3>&-
kill -TERM "$node"
wait "$node" || true
trap - EXIT
grep '"stopping"' node.log

apt-get remove -y kcs
[ ! -e /usr/bin/kcs-control ]
[ -e /etc/kcs/control.yaml ] # what was configured stays until it is purged
apt-get purge -y kcs
for left in /etc/kcs /var/lib/kcs /usr/share/kcs /lib/systemd/system/kcs-control.service; do
    [ ! -e "$left" ]
done
! find /etc/systemd -name 'kcs-*' | grep .
