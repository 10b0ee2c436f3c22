#!/bin/sh
# Builds or removes a router with CLIENTS networks around it, with one ip(8) command a line. Run as root.
#
#   client1 ── 10.0.1.0/24 ── server ── 10.0.2.0/24 ── client2, and so on
#
# usage: star.sh up|down CLIENTS
set -e
clients=$2

# Sets $near and $far, the addresses of the server and of client $1 on their link.
number() {
    near=10.$(($1 / 256)).$(($1 % 256)).1
    far=10.$(($1 / 256)).$(($1 % 256)).2
}

case "$1" in
up)
    # A script that fails half-way takes back what it made, and nothing else.
    made=
    trap 'for netns in $made; do ip netns del "$netns"; done' EXIT
    trap 'exit 130' INT TERM
    ip netns add ns_server
    made=ns_server
    ip -n ns_server link set lo up
    ip netns exec ns_server sysctl -qw net.ipv4.ip_forward=1
    client=1
    while [ "$client" -le "$clients" ]; do
        number "$client"
        netns=ns_client$client
        ip netns add "$netns"
        made="$made $netns"
        ip link add "eth$client" netns ns_server type veth peer name eth0 netns "$netns"
        ip -n ns_server address add "$near/24" brd + dev "eth$client"
        ip -n ns_server link set "eth$client" up
        ip -n "$netns" link set lo up
        ip -n "$netns" address add "$far/24" brd + dev eth0
        ip -n "$netns" link set eth0 up
        ip -n "$netns" route add default via "$near"
        client=$((client + 1))
    done
    trap - EXIT
    ;;
down)
    ip netns del ns_server
    client=1
    while [ "$client" -le "$clients" ]; do
        ip netns del "ns_client$client"
        client=$((client + 1))
    done
    ;;
*)
    echo "usage: star.sh up|down CLIENTS" >&2
    exit 2
    ;;
esac
