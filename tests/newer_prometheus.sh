#!/usr/bin/env bash
# Prometheus 3 and VictoriaMetrics of Debian's unstable release, unpacked into a folder; nothing is installed, and
# what apt knows of this machine stays as it is.
set -euo pipefail

to=$(realpath -m "$1")
mkdir -p "$to"/apt/{lists,cache}
chmod -R a+rX "$to"
cd "$to/apt"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian sid main" >sources.list
own=(-qq -o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root)
apt-get "${own[@]}" update
apt-get "${own[@]}" download prometheus victoria-metrics
for package in ./*.deb; do dpkg-deb -x "$package" "$to"; done
rm -rf "$to/apt"
"$to/usr/bin/prometheus" --version
