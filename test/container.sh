#!/usr/bin/env bash
# `npm run container`: builds the image with Docker, serves from it as docs/installing.md says, and tries what that promises. Takes
# options of `docker build`. NETWORK=host is for an engine without a bridge, and PORT another port than 18787.
set -Eeuo pipefail
cd "$(dirname "$0")/.."

NAME=trainyard-$$
PORT=${PORT:-18787}
NETWORK=${NETWORK:-default}
export TRAINYARD_URL=http://127.0.0.1:$PORT

expect() { # expect WHAT WANTED ACTUAL
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "expected: $2" >&2; exit 1; }
}
facts() { docker inspect --format "$1" "$NAME"; }
inside() { docker exec "$NAME" "$@"; }
client() { node dist/cli/main.js "$@"; }

docker build --network "$NETWORK" --tag "$NAME" "$@" .
trap 'docker rm --force --volumes "$NAME" && docker rmi "$NAME"' EXIT
docker run --detach --name "$NAME" --network "$NETWORK" --publish "127.0.0.1:$PORT:$PORT" --env TRAINYARD_PORT="$PORT" \
  --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 30 "$NAME"
while [ "$(facts '{{.State.Health.Status}}')" = starting ]; do sleep 1; done

expect 'the health check' healthy "$(facts '{{.State.Health.Status}}')"
expect 'the user' 1000 "$(inside id -u)"
expect 'capabilities' 'CapBnd: 0000000000000000' "$(inside grep CapBnd /proc/1/status | tr '\t' ' ')"
expect 'writing outside of /data' 'Read-only file system' "$(inside sh -c 'touch /app/x 2>&1' | sed 's/.*: //')"
TRAINYARD_TOKEN=$(inside trainyard token create --json | node -p 'JSON.parse(fs.readFileSync(0)).token')
export TRAINYARD_TOKEN
client push examples/railway
# A clip that was not decoded would have another warning.
expect 'an example with a clip' 'READY,MIXED_MEDIA' "$(client status railway --json |
  node -p 'const { status, warnings } = JSON.parse(fs.readFileSync(0)); `${[status, ...warnings.map(({ code }) => code)]}`')"
expect 'the page' 1 "$(curl --silent --fail "$TRAINYARD_URL" | grep --count '<div id="root">')"
docker stop "$NAME"
expect 'the exit code' 0 "$(facts '{{.State.ExitCode}}')"
echo passed
