#!/usr/bin/env bash
# Installs what the client suite and the comparison with Kafka need, from the package registries, into .cache/ of the
# checkout (kcat: from Debian's packages). Does nothing where it is already there. Needs Python 3.9+ with venv, npm,
# Maven and Java 17; says so when one is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RINGLOG_CACHE:-$(cd "$here/../../.." && pwd)/.cache}
mkdir -p "$cache"
need() { command -v "$1" >/dev/null || { echo "install.sh: '$1' is missing: $2" >&2; exit 1; }; }
# A part is done when its stamp holds the checksum of the file that asked for it.
current() { [ -f "$cache/$1.stamp" ] && [ "$(cat "$cache/$1.stamp")" = "$(sha256sum <"$2")" ]; }
stamp() { sha256sum <"$2" >"$cache/$1.stamp"; }

sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
if ! command -v kcat >/dev/null; then
  need apt-get "install kcat by hand"
  $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq kcat >/dev/null
fi
if ! current kafka "$here/pom.xml"; then
  need mvn "Apache Maven fetches Kafka 4.3.1"; need java "Java 17 runs Kafka's tools"
  rm -rf "$cache/kafka"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/kafka/libs"
  stamp kafka "$here/pom.xml"
fi
if ! current legacy-java "$here/legacy/pom.xml"; then
  need mvn "Apache Maven fetches old Java clients"; need javac "compiles a program against each of them"
  rm -rf "$cache/legacy/java"
  mvn -q -B -f "$here/legacy/pom.xml" dependency:copy -DoutputDirectory="$cache/legacy/java"
  stamp legacy-java "$here/legacy/pom.xml"
fi
if ! current legacy-python "$here/legacy/requirements.txt"; then
  need python3 "runs kafka-python 1.4.7"
  rm -rf "$cache/legacy/venv"
  python3 -m venv "$cache/legacy/venv"
  "$cache/legacy/venv/bin/pip" install -q --disable-pip-version-check -r "$here/legacy/requirements.txt"
  # From Python 3.12 on the six that comes with kafka-python 1.4.7 cannot be imported; six itself takes its place.
  "$cache/legacy/venv/bin/python" -c 'import kafka' 2>/dev/null ||
    (cd "$cache"/legacy/venv/lib/python3*/site-packages && cp six.py kafka/vendor/six.py)
  stamp legacy-python "$here/legacy/requirements.txt"
fi
if [ ! -x /usr/bin/Burrow ] && [ ! -x "$cache/legacy/burrow/usr/bin/Burrow" ]; then
  # Debian's Burrow; unpacked and not installed, since the package would start a service.
  need apt-get "fetches Burrow; unpack its package into $cache/legacy/burrow by hand"
  need dpkg-deb "unpacks Burrow"
  mkdir -p "$cache/legacy/burrow"
  (cd "$cache/legacy" && { apt-get download -qq burrow >/dev/null 2>&1 || { $sudo apt-get update -qq && apt-get download -qq burrow >/dev/null; }; } && dpkg-deb -x burrow_*.deb burrow && rm burrow_*.deb)
fi
if ! current ecosystem "$here/pom-ecosystem.xml"; then
  need mvn "Apache Maven fetches Kafka Connect's file connectors and Kafka Streams"
  rm -rf "$cache/ecosystem"
  mvn -q -B -f "$here/pom-ecosystem.xml" dependency:copy-dependencies -DexcludeTransitive=true \
    -DoutputDirectory="$cache/ecosystem/libs"
  stamp ecosystem "$here/pom-ecosystem.xml"
fi
if ! current python "$here/requirements.txt"; then
  need python3 "runs the suite"
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
  stamp python "$here/requirements.txt"
fi
if ! current npm "$here/package.json"; then
  need npm "installs kafkajs"
  mkdir -p "$cache/npm" && cp "$here/package.json" "$cache/npm/"
  npm install --prefix "$cache/npm" --no-audit --no-fund --silent
  stamp npm "$here/package.json"
fi
echo "clients ready in $cache"
