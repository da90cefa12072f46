#!/usr/bin/env bash
# A real Ceph RADOS Gateway (S3) for the tests: a monitor, manager, OSD and gateway on 127.0.0.1. For root on Debian 13.
#
#   test/harness/ceph.sh start       install, create and start what is missing, and print `env`
#   test/harness/ceph.sh env         endpoint and keys as shell exports; exit 1 where S3 does not answer
#   test/harness/ceph.sh stop        end the processes that this script started; `stop rgw` ends the gateway alone
#   test/harness/ceph.sh destroy     stop, and delete the folder
#
# CEPH_HOME is the folder that all of it lies in, by default /var/tmp/trainyard-ceph; the daemons' sockets need a short path.
# RGW_PORT is the gateway's, by default any that is free, and the monitor's is the next; both are kept until destroy.
set -Eeuo pipefail

CEPH_HOME=${CEPH_HOME:-/var/tmp/trainyard-ceph}
HOST=127.0.0.1
CONF=$CEPH_HOME/ceph.conf
RUN=$CEPH_HOME/run
LOG=$CEPH_HOME/log
LIBRARIES=/usr/lib/$(uname -m)-linux-gnu
DISK_GB=40
# Three users: one that the tests are, one that signs links and may only write, and a stranger who may not look into its buckets.
ACCESS_KEY=TRAINYARDTESTKEY0001
SECRET_KEY=trainyardtestsecret000000000000000000001
LINKS_ACCESS_KEY=TRAINYARDLINKSKEY001
LINKS_SECRET_KEY=trainyardtestsecret000000000000000000003
STRANGER_ACCESS_KEY=TRAINYARDSTRANGER001
STRANGER_SECRET_KEY=trainyardtestsecret000000000000000000002
KMS_KEY=trainyard-test

say() { echo "ceph.sh: $*" >&2; }
die() {
  say "$*"
  exit 1
}
trap 'say "line $LINENO failed; $LOG has more"' ERR
ceph_() { command ceph -c "$CONF" --connect-timeout 20 "$@"; }
admin() { radosgw-admin -c "$CONF" "$@"; }

# --- processes: a pid file holds "PID STARTTIME", and both must match, so that a pid that was used again is left alone

started_at() {
  local line
  line=$(trap - ERR; cat "/proc/$1/stat" 2>/dev/null) || return 1
  line=${line##*) }
  # shellcheck disable=SC2086
  set -- $line
  echo "${20}"
}

alive() { # alive NAME
  local pid started
  [ -f "$RUN/$1.pid" ] || return 1
  read -r pid started <"$RUN/$1.pid" || return 1
  [ "$(started_at "$pid" || true)" = "$started" ]
}

launch() { # launch NAME COMMAND…
  local name=$1 pid
  shift
  if alive "$name"; then return 0; fi
  setsid "$@" </dev/null >>"$LOG/$name.out" 2>&1 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$RUN/$name.pid"
}

end() { # end NAME: TERM, and KILL after 15 s
  local pid deadline=$((SECONDS + 15))
  if ! alive "$1"; then return 0; fi
  read -r pid _ <"$RUN/$1.pid"
  # A process that a test has suspended would not hear it.
  kill -TERM "$pid" && kill -CONT "$pid" || true
  while alive "$1" && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
  if alive "$1"; then kill -KILL "$pid"; fi
  rm -f "$RUN/$1.pid"
}

wait_for() { # wait_for SECONDS NAME COMMAND…: gives up at once when NAME has ended
  local deadline=$((SECONDS + $1)) name=$2
  shift 2
  while [ $SECONDS -lt $deadline ]; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    if ! alive "$name"; then
      tail -n 20 "$LOG/$name.out" >&2
      die "$name has ended; $LOG has more"
    fi
    sleep 0.2
  done
  tail -n 5 "$LOG"/*.log >&2
  die "$name did not get ready; $LOG has more"
}

# --- creating

install_packages() {
  local missing=() package
  for package in ceph-mon ceph-mgr ceph-osd radosgw ceph-common curl uuid-runtime; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  say "installing ${missing[*]}"
  apt-get -o DPkg::Lock::Timeout=300 update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
    "${missing[@]}" >&2
}

is_free() { ! (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; }

choose_ports() { # the monitor's address is written in its map, so what was chosen once stays
  if [ -f "$CEPH_HOME/ports" ]; then
    read -r RGW_PORT MON_PORT <"$CEPH_HOME/ports"
    return
  fi
  if [ -z "${RGW_PORT:-}" ]; then
    RGW_PORT=17480
    while ! is_free $RGW_PORT || ! is_free $((RGW_PORT + 1)); do RGW_PORT=$((RGW_PORT + 2)); done
  fi
  MON_PORT=$((RGW_PORT + 1))
  echo "$RGW_PORT $MON_PORT" >"$CEPH_HOME/ports"
}

configure() {
  mkdir -p "$RUN" "$LOG"
  [ -f "$CEPH_HOME/fsid" ] || uuidgen >"$CEPH_HOME/fsid"
  # `plugin dir` and `osd class dir`: Debian's build has relative defaults, with which no class loads.
  cat >"$CONF" <<END
[global]
plugin dir = $LIBRARIES/ceph
erasure code dir = $LIBRARIES/ceph/erasure-code
fsid = $(cat "$CEPH_HOME/fsid")
mon host = v2:$HOST:$MON_PORT
public addr = $HOST
cluster addr = $HOST
ms bind ipv4 = true
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
run dir = $RUN
admin socket = $RUN/\$name.asok
log file = $LOG/\$name.log
crash dir = $CEPH_HOME/crash
keyring = $CEPH_HOME/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 2000
osd max object name len = 460
osd max object namespace len = 64
[mon]
mgr initial modules = iostat
mon data = $CEPH_HOME/mon.\$id
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
auth allow insecure global id reclaim = false
[mgr]
mgr data = $CEPH_HOME/mgr.\$id
mgr pool = false
[osd]
osd data = $CEPH_HOME/osd.\$id
keyring = $CEPH_HOME/osd.\$id/keyring
osd objectstore = bluestore
osd class dir = $LIBRARIES/rados-classes
bluestore block size = $((DISK_GB * 1024 * 1024 * 1024))
bluestore block db create = false
bluestore block wal create = false
osd memory target = 939524096
osd op num shards = 2
osd scrub load threshold = 2000
osd check max object name len on startup = false
[client]
rgw frontends = beast endpoint=$HOST:$RGW_PORT
rgw gc obj min wait = 60
rgw thread pool size = 64
rgw dns name = localhost
rgw max concurrent requests = 256
rgw s3 auth use sts = true
rgw sts key = trainyard-sts-01
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = $KMS_KEY=$(printf 'k%.0s' {1..32} | base64)
END
}

create_monitor() {
  if [ -d "$CEPH_HOME/mon.a/store.db" ]; then return 0; fi
  rm -rf "$CEPH_HOME/mon.a"
  mkdir -p "$CEPH_HOME/mon.a"
  (
    umask 077
    ceph-authtool --create-keyring "$CEPH_HOME/keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool "$CEPH_HOME/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool "$CEPH_HOME/keyring" --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *'
    ceph-authtool "$CEPH_HOME/keyring" --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw'
  ) >>"$LOG/setup.out" 2>&1
  monmaptool --create --clobber --fsid "$(cat "$CEPH_HOME/fsid")" --addv a "[v2:$HOST:$MON_PORT]" "$CEPH_HOME/monmap" \
    >>"$LOG/setup.out" 2>&1
  ceph-mon -c "$CONF" --mkfs -i a --monmap "$CEPH_HOME/monmap" --keyring "$CEPH_HOME/keyring" >>"$LOG/setup.out" 2>&1
}

create_osd() {
  if [ -f "$CEPH_HOME/osd.0/ready" ]; then return 0; fi
  local uuid secret
  rm -rf "$CEPH_HOME/osd.0"
  mkdir -p "$CEPH_HOME/osd.0"
  uuid=$(uuidgen)
  secret=$(ceph-authtool --gen-print-key)
  {
    ceph_ osd purge-new 0 --yes-i-really-mean-it || true # what a start that was cut off has left
    echo "{\"cephx_secret\": \"$secret\"}" | ceph_ osd new "$uuid" 0 -i -
    ceph-authtool --create-keyring "$CEPH_HOME/osd.0/keyring" --name osd.0 --add-key "$secret"
    ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid"
  } >>"$LOG/setup.out" 2>&1
  touch "$CEPH_HOME/osd.0/ready"
}

# Left to the gateway, the first upload would wait for the last of its pools.
create_pools() {
  if [ -f "$CEPH_HOME/pools.created" ]; then return 0; fi
  local pool
  for pool in .rgw.root default.rgw.{log,control,meta} default.rgw.buckets.{index,data,non-ec}; do
    ceph_ osd pool create "$pool" 4 4 --yes-i-really-mean-it >>"$LOG/setup.out" 2>&1
    ceph_ osd pool application enable "$pool" rgw >>"$LOG/setup.out" 2>&1
  done
  touch "$CEPH_HOME/pools.created"
}

# What a start that was cut off has made already stays.
create_users() {
  if [ -f "$CEPH_HOME/users.created" ]; then return 0; fi
  {
    admin user info --uid=trainyard || admin user create --uid=trainyard --display-name=trainyard \
      --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY"
    admin user info --uid=trainyard-links || admin user create --uid=trainyard-links --display-name=trainyard-links \
      --access-key="$LINKS_ACCESS_KEY" --secret-key="$LINKS_SECRET_KEY" --max-buckets=-1
    admin user info --uid=stranger || admin user create --uid=stranger --display-name=stranger \
      --access-key="$STRANGER_ACCESS_KEY" --secret-key="$STRANGER_SECRET_KEY"
    # A role that the first may assume, which is how temporary credentials come about.
    admin role get --role-name=trainyard || admin role create --role-name=trainyard --path=/ \
      --assume-role-policy-doc='{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
        "Principal": { "AWS": ["arn:aws:iam:::user/trainyard"] }, "Action": ["sts:AssumeRole"] }] }'
    admin role policy put --role-name=trainyard --policy-name=all --policy-doc='{ "Version": "2012-10-17",
      "Statement": [{ "Effect": "Allow", "Action": ["s3:*"], "Resource": "arn:aws:s3:::*" }] }'
  } >>"$LOG/setup.out" 2>&1
  touch "$CEPH_HOME/users.created"
}

osd_is_up() { ceph_ osd stat -f json | grep -q '"num_up_osds":1'; }
s3_is_up() { curl -fsS -o /dev/null --max-time 2 "http://$HOST:$RGW_PORT/"; }

start() {
  [ "$(id -u)" = 0 ] || die 'only root can do this'
  [ "${#CEPH_HOME}" -le 70 ] || die "CEPH_HOME is too long for the paths of sockets"
  mkdir -p "$CEPH_HOME"
  exec 9>"$CEPH_HOME/lock"
  flock -w 300 9 || die 'another start is still running'
  install_packages
  choose_ports
  configure
  create_monitor
  launch mon.a ceph-mon -c "$CONF" -f -i a
  wait_for 60 mon.a ceph_ -s
  # Each module runs in a Python of its own, in which Debian's bcrypt refuses to load; none of ours needs the real one.
  mkdir -p "$CEPH_HOME/mgr.x" "$CEPH_HOME/python"
  printf 'def hashpw(*a):\n    raise NotImplementedError\ngensalt = checkpw = hashpw\n' >"$CEPH_HOME/python/bcrypt.py"
  launch mgr.x env PYTHONPATH="$CEPH_HOME/python" ceph-mgr -c "$CONF" -f -i x
  create_osd
  launch osd.0 ceph-osd -c "$CONF" -f -i 0
  wait_for 90 osd.0 osd_is_up
  create_pools
  launch rgw.a radosgw -c "$CONF" -f -n client.rgw.a
  wait_for 120 rgw.a s3_is_up
  create_users
  print_env
}

print_env() {
  [ -f "$CEPH_HOME/ports" ] || return 1
  read -r RGW_PORT _ <"$CEPH_HOME/ports"
  s3_is_up || return 1
  cat <<END
export TEST_S3_ENDPOINT=http://$HOST:$RGW_PORT
export AWS_ACCESS_KEY_ID=$ACCESS_KEY
export AWS_SECRET_ACCESS_KEY=$SECRET_KEY
export AWS_REGION=us-east-1
export TRAINYARD_PRESIGN_ACCESS_KEY_ID=$LINKS_ACCESS_KEY
export TRAINYARD_PRESIGN_SECRET_ACCESS_KEY=$LINKS_SECRET_KEY
export TEST_S3_STRANGER=$STRANGER_ACCESS_KEY:$STRANGER_SECRET_KEY
export TEST_S3_KMS_KEY=$KMS_KEY
export TEST_S3_ROLE=arn:aws:iam:::role/trainyard
export TEST_S3_CEPH_HOME=$CEPH_HOME
END
}

stop() {
  local name
  # The gateway first and the monitor last: each waits for the next.
  for name in ${1:-rgw.a mgr.x osd.0 mon.a}; do end "$name"; done
}

case ${1:-} in
  start) "$0" once || { say 'once more, with new processes'; stop; "$0" once; } ;;
  once) start ;;
  env) trap - ERR; print_env ;;
  stop) stop ${2:+"$2.a"} ;;
  destroy)
    stop
    [ ! -e "$CEPH_HOME" ] || [ -f "$CEPH_HOME/fsid" ] || die "$CEPH_HOME was not made by this script"
    rm -rf "$CEPH_HOME"
    ;;
  *) die 'usage: test/harness/ceph.sh start|env|stop [rgw]|destroy' ;;
esac
