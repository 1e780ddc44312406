#!/usr/bin/env bash
# Installs what tests and bench use beyond PyPI: curl, nginx, PostgreSQL, Redis (or Valkey), Node. As root on Debian, and only what is
# missing. What cannot be had is named, and the tests that need it skip by that name; with CI=true it is an error instead.
set -uo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin

has() {
    case $1 in
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null ;;
    redis) command -v valkey-server >/dev/null || command -v redis-server >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}
missing() { for service in curl nginx postgresql redis node npm; do has "$service" || echo "$service"; done; }

packages() { # Debian's names; valkey where there is no redis any more
    for service in $1; do
        case $service in
        nginx) echo nginx-light ;;
        node) echo nodejs ;;
        redis) apt-cache show redis-server >/dev/null 2>&1 && echo redis-server || echo valkey-server ;;
        *) echo "$service" ;;
        esac
    done
}

guard=
made_policy=
at_exit() {
    [ -n "$guard" ] && rm -rf "$guard"
    [ -n "$made_policy" ] && rm -f /usr/sbin/policy-rc.d
}
trap at_exit EXIT

forbid_daemons() { # Debian starts what it installs, unless policy-rc.d says no
    [ -e /usr/sbin/policy-rc.d ] && return
    made_policy=1
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
}

install() {
    guard=$(mktemp -d)
    forbid_daemons
    echo "installing:" $1 >&2
    local quickly=(-qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
    apt-get update "${quickly[@]}" >"$guard/log" 2>&1
    # shellcheck disable=SC2046
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y "${quickly[@]}" --no-install-recommends $(packages "$1") \
        >>"$guard/log" 2>&1; then
        tail -n 3 "$guard/log" >&2
    fi
    if [ -d /run/systemd/system ]; then # nor at the next boot
        for service in $1; do systemctl disable --quiet "$service" "$service-server" 2>/dev/null; done
    fi
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    install "$wanted"
fi
left=$(missing | tr '\n' ' ')
[ -z "$left" ] && exit 0
echo "not installed: ${left% } (what needs them is skipped, and named at the end)" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
