#!/usr/bin/env bash
# Bring the system packages that the tests want; where that is not ours to do, say what will be left out.
#
# As root on Debian what is missing is installed. Anybody else reads which group of tests is left out and which
# package it wants, and goes on. Under CI=true a group may not be left out, so a failed installation ends the build.
set -euo pipefail

# program | package | the tests that use it. tests/kit/programs.py knows the same pairs; a test compares the two.
WANTED='
chromium|chromium|pages in a real browser
clamd|clamav-daemon|a real antivirus before and behind the mail
curl|curl|IMAP and web round trips with curl
dovecot|dovecot-imapd|mail brought from a foreign server that runs Dovecot
gpg|gnupg|OpenPGP
initdb|postgresql|everything on PostgreSQL
ldapsearch|ldap-utils|the address book asked with ldapsearch of OpenLDAP
mbsync|isync|IMAP synchronisation with mbsync
neomutt|neomutt|mail sent and filed with neomutt
offlineimap|offlineimap3|IMAP synchronisation with OfflineIMAP
openssl|openssl|foreign TLS clients and hostile certificates
postfix|postfix|mail to and from a foreign operator that runs Postfix
strace|strace|proof that data is synced before the 250
thunderbird|thunderbird|a professional at her desk, with Thunderbird
Xvfb|xvfb|the screen that Thunderbird wants
'
APT_S_MAX=900 # a slow mirror may take minutes; a dead one must not hold the build for ever

is_here() {
    command -v "$1" >/dev/null && return 0
    [ -x "/usr/sbin/$1" ] && return 0 # daemons, outside the PATH of most
    # Debian keeps PostgreSQL's own programs outside PATH.
    [ "$1" = initdb ] && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing_lines() {
    local program package group
    while IFS='|' read -r program package group; do
        [ -z "$program" ] || is_here "$program" || echo "$program|$package|$group"
    done <<<"$WANTED"
}

is_ours_to_install() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && grep -qs '^ID=debian$' /etc/os-release
}

install_packages() {
    local apt=(timeout --kill-after=30 "$APT_S_MAX" apt-get -q -y -o Acquire::Retries=3 -o Acquire::http::Timeout=60
        -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold)
    local log
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } </dev/null >"$log" 2>&1; then
        rm -f "$log"
    else
        echo "The installation failed; its last words:"
        tail -n 15 "$log"
        rm -f "$log"
    fi
}

missing=$(missing_lines)
if [ -z "$missing" ]; then
    exit 0
fi
if is_ours_to_install; then
    mapfile -t packages < <(cut -d'|' -f2 <<<"$missing")
    echo "Installing for the tests: ${packages[*]}"
    install_packages "${packages[@]}"
    missing=$(missing_lines)
fi
if [ -n "$missing" ]; then
    echo "Left out, because a program is missing:"
    while IFS='|' read -r program package group; do
        echo "  $group: install the package $package (program $program)"
    done <<<"$missing"
    [ "${CI:-}" != true ] || exit 1
fi
