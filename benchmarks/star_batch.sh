#!/bin/sh
# Builds or removes the network of star.sh with as few ip(8) processes as its -batch allows. Run as root.
#
# A batch cannot change its namespace from line to line ("netns exec" within one would start a
# process for each line), so there is one batch for all namespaces and links, one for the server,
# and one for each client.
#
# usage: star_batch.sh up|down CLIENTS
set -e
clients=$2

# Writes "$1" for each client, with CLIENT, NEAR and FAR replaced by its number and addresses.
each() {
    awk -v clients="$clients" -v line="$1" 'BEGIN {
        for (client = 1; client <= clients; client++) {
            subnet = "10." int(client / 256) "." client % 256
            written = line
            gsub(/CLIENT/, client, written)
            gsub(/NEAR/, subnet ".1", written)
            gsub(/FAR/, subnet ".2", written)
            print written
        }
    }'
}

remove() {
    { echo "netns del ns_server"; each "netns del ns_clientCLIENT"; } | ip "$@" -batch -
}

case "$1" in
up)
    # A batch cannot say which of its lines failed, so a name that is taken must be seen before.
    { echo ns_server; each ns_clientCLIENT; } | while read -r netns; do
        if [ -e "/run/netns/$netns" ]; then
            echo "star_batch.sh: the namespace $netns is there already" >&2
            exit 1
        fi
    done
    trap 'remove -force 2>/dev/null' EXIT
    trap 'exit 130' INT TERM
    {
        echo "netns add ns_server"
        each "netns add ns_clientCLIENT"
        each "link add ethCLIENT netns ns_server type veth peer name eth0 netns ns_clientCLIENT"
    } | ip -batch -
    ip netns exec ns_server sysctl -qw net.ipv4.ip_forward=1
    {
        echo "link set lo up"
        each "address add NEAR/24 brd + dev ethCLIENT"
        each "link set ethCLIENT up"
    } | ip -n ns_server -batch -
    each "CLIENT NEAR FAR" | while read -r client near far; do
        ip -n "ns_client$client" -batch - <<END
link set lo up
address add $far/24 brd + dev eth0
link set eth0 up
route add default via $near
END
    done
    trap - EXIT
    ;;
down)
    remove
    ;;
*)
    echo "usage: star_batch.sh up|down CLIENTS" >&2
    exit 2
    ;;
esac
