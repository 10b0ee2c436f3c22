#!/bin/sh
# Builds or removes the network of labs/two_clients.yaml, as a person would with ip(8). Run as root.
#
# usage: two_clients.sh up|down
set -e

case "$1" in
up)
    # A script that fails half-way takes back what it made, and nothing else.
    made=
    trap 'for netns in $made; do ip netns del "$netns"; done' EXIT
    trap 'exit 130' INT TERM
    for netns in ns_client1 ns_server ns_client2; do
        ip netns add "$netns"
        made="$made $netns"
    done
    ip netns exec ns_server sysctl -qw net.ipv4.ip_forward=1

    # Both ends are made where they belong: moving a veth afterwards costs 20 ms each time.
    ip link add veth_c1 netns ns_client1 type veth peer name veth_srv_c1 netns ns_server
    ip link add veth_c2 netns ns_client2 type veth peer name veth_srv_c2 netns ns_server

    ip -n ns_client1 address add 10.0.1.2/24 brd + dev veth_c1
    ip -n ns_server address add 10.0.1.1/24 brd + dev veth_srv_c1
    ip -n ns_client2 address add 10.0.2.2/24 brd + dev veth_c2
    ip -n ns_server address add 10.0.2.1/24 brd + dev veth_srv_c2

    for netns in ns_client1 ns_server ns_client2; do
        ip -n "$netns" link set lo up
    done
    ip -n ns_client1 link set veth_c1 up
    ip -n ns_server link set veth_srv_c1 up
    ip -n ns_client2 link set veth_c2 up
    ip -n ns_server link set veth_srv_c2 up

    ip -n ns_client1 route add default via 10.0.1.1
    ip -n ns_client2 route add default via 10.0.2.1
    trap - EXIT
    ;;
down)
    for netns in ns_client1 ns_server ns_client2; do
        ip netns del "$netns"
    done
    ;;
*)
    echo "usage: two_clients.sh up|down" >&2
    exit 2
    ;;
esac
