#!/usr/bin/env bash
# The programs that some tests run for real, from Debian's packages. Installed where that may be (root and apt);
# elsewhere the tests that need them skip, and say which one is missing.
set -euo pipefail

wanted=()
command -v promtool >/dev/null || wanted+=(prometheus)
command -v amtool >/dev/null || wanted+=(prometheus-alertmanager)
command -v chromium >/dev/null || wanted+=(chromium fonts-dejavu-core)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || wanted+=(postgresql)

if [ ${#wanted[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes "${wanted[@]}"; } >/dev/null 2>&1 ||
            echo "cannot be installed here: ${wanted[*]}; their tests will skip"
    else
        echo "not installed (needs root and apt): ${wanted[*]}; their tests will skip"
    fi
fi
