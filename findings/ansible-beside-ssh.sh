#!/usr/bin/env bash
# Software: ansible-core 2.19.4 and OpenSSH 9.2p1 (Debian 12)
# Expected: two programs that inherit one standard input and read nothing of it do not notice each other.
# Seen: while `ssh HOST COMMAND` runs, the standard input that it was given does not block, also for whoever shares it (where it is
#   a pipe that stays open, as many runners give). ansible-playbook started meanwhile refuses: "ERROR: Ansible requires blocking IO
#   on stdin/stdout/stderr. Non-blocking file handles detected: <stdin>", exit 1. Once ssh has ended, it runs.
# Meaning: where a test runner runs parts side by side, one with ssh in it makes a playbook of another one fail now and then. Give
#   each a standard input of its own (in Python: stdin=subprocess.DEVNULL); `ssh -n` where ssh is to read nothing.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

[ "$(id -u)" = 0 ] # the server wants root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get -qq download openssh-client=1:9.2p1-2+deb12u10 openssh-server=1:9.2p1-2+deb12u10 \
  libwrap0=7.6.q-32 2>/dev/null)
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install ansible-core==2.19.4
export PATH=$work/root/usr/bin:$work/venv/bin:$PATH HOME=$work LC_ALL=C.UTF-8

# A server without a port: ssh starts it and talks to its standard input and output.
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/user"
cat >"$work/sshd_config" <<END
HostKey $work/host
AuthorizedKeysFile $work/user.pub
StrictModes no
UsePAM no
PidFile none
END
(cat /etc/passwd && echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin') >"$work/passwd" # the package's account
cat >"$work/server" <<END
#!/bin/sh
mount -t tmpfs none /run && mkdir /run/sshd && mount --bind $work/passwd /etc/passwd
export LD_LIBRARY_PATH=$work/root/lib/x86_64-linux-gnu:$work/root/usr/lib/x86_64-linux-gnu
exec $work/root/usr/sbin/sshd -i -f $work/sshd_config
END
cat >"$work/ssh_config" <<END
Host there
  ProxyCommand unshare -m sh $work/server
  IdentityFile $work/user
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
END
printf -- '- hosts: localhost\n  gather_facts: false\n  tasks: [{debug: {msg: the playbook runs}}]\n' >"$work/play.yml"
mkfifo "$work/begun" "$work/go" "$work/input"

# Both have the standard input of this block, as programs that a test runner starts have its own (a shell would give "&" another).
{
  ssh -F "$work/ssh_config" there "echo 'ssh runs a command' >$work/begun; timeout 60 cat $work/go" <&0 &
  timeout 60 cat "$work/begun"
  during=0
  ansible-playbook -i localhost, -c local "$work/play.yml" >"$work/during" 2>&1 || during=$?
  timeout 60 sh -c "echo >$work/go"
  wait
  after=0
  ansible-playbook -i localhost, -c local "$work/play.yml" >"$work/after" 2>&1 || after=$?
} <>"$work/input" # open, with nothing to read
echo "while ssh runs: exit $during, $(grep -m1 . "$work/during")"
echo "afterwards: exit $after, $(grep -m1 'the playbook runs' "$work/after" || true)"

[ "$during,$after" = 1,0 ] && grep -q 'Non-blocking file handles detected: <stdin>' "$work/during" || exit 1
