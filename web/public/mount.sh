#!/bin/sh
# Mounts a dataset of trainyard on a machine without Node:
#
#   curl -fsS http://HOST:8787/mount.sh | sh -s -- [--replace] 'LINK' ROOT
#
# LINK is what "trainyard link NAME" prints. Unpacks it in ROOT/.mount.sh.XXXXXX, compares every file with its SHA-256, and then
# renames the folder to ROOT/NAME, after those of the dataset's controls and mask. Until then, folders that are there stay as they
# are. One that trainyard did not mount, or with files that were changed or added since, is replaced only with --replace. Exit
# codes are those of "trainyard mount". It waits while another mount into ROOT runs. It unpacks no more than the listed files, in at
# most 15/16 of the free space of the disk.
set -eu
export LC_ALL=C
unset CDPATH

fail() { # CODE MESSAGE
  printf 'mount.sh: %s\n' "$2" >&2
  exit "$1"
}

# Without what a terminal obeys, which an answer may have.
printable() { tr -d '\000-\037\177'; }

# Writes what a URL has to standard output.
get() {
  if [ -z "${wget-}" ]; then exec curl -f "$meter" "$1"; else exec wget -q -O - "$1"; fi
}

free_kilobytes() { df -Pk "$root" | awk 'NR == 2 { print $4 }'; }

clean_up() {
  code=$?
  trap '' INT TERM HUP
  # Not TERM: a shell that has just begun a job loses it, and would wait for the job for ever. $! may not be in $jobs yet.
  # shellcheck disable=SC2086 # process ids, none or several
  [ -z "$jobs" ] || { kill -KILL $jobs $! || :; wait; } 2>/dev/null || :
  [ -z "$placing" ] || put_back
  [ -z "$lock" ] || [ "$(cat "$lock" 2>/dev/null)" != "$holder" ] || rm -f -- "$lock"
  keep_old
  rm -rf -- "$temporary"
  exit "$code"
}

# Takes the lock of "trainyard mount", a file that its holder touches every 5 seconds. One that was not touched for two minutes
# is of a process that has ended. Of several that find it so, the one that makes the claim removes it.
take_lock() {
  path=$root/.trainyard-mount.lock holder="{\"id\":\"${temporary##*.}\",\"pid\":$$,\"started\":null,\"machine\":null}"
  until (set -C && : >"$path") 2>/dev/null; do
    if [ -h "$path" ] || { [ -e "$path" ] && [ ! -f "$path" ]; }; then fail 73 "$path is in the way. Move it away."; fi
    [ -n "$told" ] || echo "mount.sh: waiting for another mount into $root" >&2
    told=yes
    [ -z "$(find "$path-claim" -mmin +1 2>/dev/null)" ] || rm -f -- "$path-claim"
    if [ -n "$(find "$path" -mmin +1 2>/dev/null)" ] && (set -C && : >"$path-claim") 2>/dev/null; then
      [ -z "$(find "$path" -mmin +1 2>/dev/null)" ] || rm -f -- "$path"
      rm -f -- "$path-claim"
    else sleep 1; fi
  done
  printf %s "$holder" >"$path" || { rm -f -- "$path" && fail 74 "the disk of $root is full."; }
  lock=$path
  (while kill -0 $$ && touch -c -- "$lock"; do sleep 5; done) </dev/null >/dev/null 2>&1 &
  jobs=$!
}

# Keeps the old folder until all new ones are in place.
set_aside() { # NAME
  [ ! -e "$root/$1" ] || mv -- "$root/$1" "$temporary/old/$1" || fail 73 "$root/$1 can't be replaced."
}

# Moves a folder from the archive into place.
put() { # NAME
  new=$temporary/new/$1
  # Not into a folder that was made meanwhile, by another mount. Old versions of busybox have no -T.
  mv -T -- "$new" "$root/$1" 2>/dev/null || { [ ! -e "$root/$1" ] && mv -- "$new" "$root/$1"; } ||
    fail 73 "$root/$1 was made meanwhile. Try again."
}

# Undoes what `put` did before it failed.
put_back() {
  while IFS= read -r name; do
    [ -e "$temporary/new/$name" ] || mv -- "$root/$name" "$temporary/new/$name"
    [ ! -e "$temporary/old/$name" ] || [ -e "$root/$name" ] || mv -- "$temporary/old/$name" "$root/$name"
  done <"$temporary/names"
}

# Gives another name to an old folder that is not as its record says (a person may have saved a caption after it was compared), or
# that `put_back` found no place for.
keep_old() {
  for old in "$temporary"/old/*; do
    [ -d "$old" ] || continue
    if [ -z "$placing" ] && { [ -n "$replace" ] || [ -z "$(changed "$old")" ]; }; then continue; fi
    kept="$root/.${old##*/}.kept-${temporary##*.}"
    mv -- "$old" "$kept" || exit 74
    echo "mount.sh: $root/${old##*/} was changed or made meanwhile. The old one is now $kept." >&2
  done
}

# Names of files below a mounted folder that are not as its record says, which has a field on each line, or not in it, without what
# trainers write. Times tell nothing: a file that was moved here may be old.
changed() { # FOLDER
  cat -- "$1/.mount.json" 2>/dev/null | sed -n '/^ *"mounted_name": /{s/^[^:]*: "//;s/",*$//;s/\\"/"/g;h;}
    /^ *"sha256": /{s/^[^:]*: "//;s/".*//;G;s/\n/  /;p;}' >"$temporary/recorded"
  (echo .mount.json && sed 's/^[^ ]*  //' "$temporary/recorded") >"$temporary/known"
  (cd -- "$1" && {
    sha256sum -c <"$temporary/recorded" 2>/dev/null | sed -n 's/: FAILED.*//p'
    find . -type f ! -name .aitk_size.json ! -name '*.npz' ! -name metadata_cache.json ! -name 'aspect_ratio_bucket_*.json' \
      ! -path './_*cache/*' ! -path './cache/*' ! -path './_controls/*' ! -path './.thumbs/*' |
      sed 's,^\./,,' | grep -vxF -f "$temporary/known"
  } | head -n 3 | tr '\n' ' ')
}

# Ends the script if a folder that is there may not be replaced.
require_replaceable() {
  while IFS= read -r name; do
    target=$root/$name
    if [ -n "$replace" ] || [ -z "$(ls -A -- "$target" 2>/dev/null)" ]; then unchanged='' && continue; fi
    [ -f "$target/.mount.json" ] || fail 73 "$target was not mounted by trainyard. Move it away, or use --replace."
    others=$(changed "$target")
    [ -z "$others" ] || fail 73 "$target was changed since it was mounted: $others. To discard that, use --replace."
  done <"$temporary/names"
}

main() {
  replace='' wget='' meter=-sS jobs='' placing='' failed='' lock='' told='' unchanged=yes
  [ "${1-}" != --replace ] || { replace=yes && shift; }
  [ $# = 2 ] || fail 64 "usage: sh -s -- [--replace] 'LINK' ROOT"
  link=$1
  case $link in http://*/tar\?*digest=* | https://*/tar\?*digest=*) ;; *)
    fail 64 'the first argument is not a link that "trainyard link" prints. Write it in single quotation marks.' ;;
  esac
  digest=${link##*digest=} digest=${digest%%&*}
  command -v curl >/dev/null || { command -v wget >/dev/null && wget=yes; } || fail 69 'there is no curl and no wget.'
  for tool in tar sha256sum; do command -v $tool >/dev/null || fail 69 "there is no $tool. Install it first."; done
  if ! mkdir -p -- "$2" || ! root=$(cd -- "$2" && pwd); then fail 73 "$2 can't be created or entered."; fi
  temporary=$(mktemp -d "$root/.mount.sh.XXXXXX") || fail 73 "nothing can be written in $root."
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP

  sums="${link%%/tar\?*}/sha256sums?${link#*/tar\?}"
  # 64 MiB, in blocks of 512 bytes.
  if ! (ulimit -f 131072 && get "$sums") >"$temporary/sums"; then
    reason=$([ -n "$wget" ] || curl -s "$sums" | head -c 4096 | sed -n 's/.*"error_message":"\([^"]*\)".*/\1/p' | printable)
    [ -z "$reason" ] || fail 77 "$reason"
    fail 69 "the service does not answer, or it rejects the link, which may have expired (see above)."
  fi
  # Folders of files: other names could lead out of them.
  if grep -q '[[:cntrl:]]' "$temporary/sums" || grep -qv '^[0-9a-f]\{64\}  [^/.][^/]*/[^/.][^/]*$' "$temporary/sums"; then
    fail 76 'the answer is not that of a dataset service.'
  fi
  # The dataset's own folder is the last.
  sed 's,^[0-9a-f]*  \([^/]*\)/.*,\1,' "$temporary/sums" | awk '!seen[$0]++' >"$temporary/names"
  [ -s "$temporary/names" ] || fail 76 'the answer is not that of a dataset service.'
  take_lock
  require_replaceable
  [ -z "$unchanged" ] || grep -q "\"digest\": \"$digest\"" "$target/.mount.json" || unchanged=''
  if [ -n "$unchanged" ] && (cd "$root" && sha256sum -c) <"$temporary/sums" >/dev/null 2>&1; then
    echo "$target is unchanged" && exit 0
  fi

  [ ! -t 2 ] || meter='-#'
  others='the archive has other files than those of the dataset.'
  free=$(free_kilobytes) max=$(($(cat "$temporary/sums" "$temporary/names" | wc -l))) beat=$jobs
  mkdir "$temporary/new" && mkfifo "$temporary/sent" "$temporary/limited" "$temporary/listed"
  get "$link" >"$temporary/sent" &
  sender=$! jobs="$jobs $!"
  head -c $((free / 16 * 15 * 1024)) <"$temporary/sent" >"$temporary/limited" &
  jobs="$jobs $!"
  # A sparse file may be large without needing space.
  (ulimit -f $((free * 2)) && exec tar -x -v -o -C "$temporary/new") <"$temporary/limited" >"$temporary/listed" &
  unpacker=$! jobs="$jobs $!"
  # Ends tar, by SIGPIPE, when there are many entries too many. A few are counted below.
  head -n $((max + 100)) <"$temporary/listed" >/dev/null &
  jobs="$jobs $!"
  wait $unpacker || failed=$?
  [ "$failed" != 141 ] || fail 76 "$others"
  [ -z "$failed" ] || failed="the archive could not be unpacked in $root"
  wait $sender || failed="the connection broke, or a file of the service is damaged"
  jobs=$beat
  if [ -n "$failed" ] && [ "$(free_kilobytes)" -lt $((free / 8 + 64)) ]; then fail 74 "the disk of $root is full."; fi
  [ -z "$failed" ] || fail 74 "$failed (see above). Nothing was changed; try again."
  odd=$(find "$temporary/new" ! -type d \( ! -type f -o -perm -4000 -o -perm -2000 \) | head -n 1 | printable)
  [ -z "$odd" ] || fail 76 "the archive has a link, a device or a program: ${odd##*/}"
  (cd "$temporary/new" && exec sha256sum -c) <"$temporary/sums" >"$temporary/checked" 2>&1 &
  jobs="$beat $!"
  wait $! || fail 65 "files are missing or damaged: $(grep -v ': OK$' "$temporary/checked" | head -n 5)"
  jobs=$beat
  # The records of the mount, and the folders, are not among the checksums.
  count=$(($(find "$temporary/new" | wc -l) - $(wc -l <"$temporary/names") - 1))
  while IFS= read -r name; do [ -f "$temporary/new/$name/.mount.json" ] || count=0; done <"$temporary/names"
  [ "$count" = "$max" ] || fail 76 "$others"

  # A person may have edited a caption meanwhile.
  require_replaceable
  mkdir "$temporary/old"
  # Only renames are left: a signal between two of them would leave folders of different moments.
  trap '' INT TERM HUP
  placing=yes
  # The dataset's own folder goes first and comes last: it never stands beside controls of another moment.
  set_aside "$(tail -n 1 "$temporary/names")"
  while IFS= read -r name; do
    set_aside "$name"
    put "$name"
  done <"$temporary/names"
  placing=''
  while IFS= read -r name; do
    echo "mounted $name in $root/$name: $(($(find "$root/$name" -type f | wc -l) - 1)) files"
  done <"$temporary/names"
}

main "$@"
