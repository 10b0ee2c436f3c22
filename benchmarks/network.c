/* Builds or removes the networks of two_clients.sh and star.sh with packed netlink messages.
 *
 * This is the floor: one process, no library, one socket a namespace, one write for each namespace's
 * settings. What the kernel itself needs remains.
 *
 * usage: network up|down two_clients [wired]
 *        network up|down star CLIENTS [wired]
 *
 * Wired links are those that labctl builds where the kernel has no netem: see "wired links" below.
 *
 * Prints how long the work took, without the start of the process: "build_ms=6.804".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "netlink.h"

enum { SERVER = 0, LOOPBACK = 1, FIRST_INDEX = 2 };

/* A client on a network of its own with the server. All addresses are /24. */
struct client {
    char netns[24];
    char interface[IFNAMSIZ];
    char server_interface[IFNAMSIZ];
    uint32_t address;
    uint32_t server_address;
    int fd;
    int socket;
};

static struct client *clients; /* and behind them, where links are wired, their namespace */
static int client_count;
static int is_wired;
static int server_fd, server_socket;
static int made; /* namespaces with a name, the server's first */
static volatile sig_atomic_t interrupted;

static const char *netns_of(int node)
{
    return node == SERVER ? "ns_server" : clients[node - 1].netns;
}

static void remove_name(int node)
{
    char path[64];
    snprintf(path, sizeof path, "/run/netns/%s", netns_of(node));
    /* EINVAL: the file is there, and the namespace was not yet mounted on it. */
    if (umount2(path, MNT_DETACH) && errno != EINVAL)
        perror(path);
    if (unlink(path))
        perror(path);
}

static void fail(const char *format, ...)
{
    int error = errno;
    va_list words;
    va_start(words, format);
    fputs("network: ", stderr);
    vfprintf(stderr, format, words);
    fprintf(stderr, ": %s\n", strerror(error));
    va_end(words);
    while (made > 0)
        remove_name(--made);
    exit(1);
}

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void create_link(const struct client *client)
{
    /* Only the first end can be brought up at its birth; with its peer the kernel refuses it. */
    struct ifinfomsg server_end = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct ifinfomsg client_end = {0};
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &server_end, sizeof server_end);
    attribute(IFLA_IFNAME, client->server_interface, strlen(client->server_interface) + 1);
    struct rtattr *link = attribute(IFLA_LINKINFO | NLA_F_NESTED, NULL, 0);
    attribute(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *options = attribute(IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
    struct rtattr *peer = attribute(VETH_INFO_PEER | NLA_F_NESTED, NULL, 0);
    append(&client_end, sizeof client_end);
    attribute(IFLA_IFNAME, client->interface, strlen(client->interface) + 1);
    attribute(IFLA_NET_NS_FD, &client->fd, sizeof client->fd);
    end(peer);
    end(options);
    end(link);
}

static void bring_up(int index)
{
    struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(RTM_NEWLINK, 0, &link, sizeof link);
}

static void assign_address(int index, uint32_t address)
{
    struct ifaddrmsg header = {
        .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = (uint32_t)index};
    uint32_t own = htonl(address), everyone = htonl(address | 0xff);
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    attribute(IFA_LOCAL, &own, sizeof own);
    attribute(IFA_ADDRESS, &own, sizeof own);
    attribute(IFA_BROADCAST, &everyone, sizeof everyone);
}

static void add_default_route(uint32_t gateway)
{
    struct rtmsg route = {.rtm_family = AF_INET,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = RT_SCOPE_UNIVERSE,
                          .rtm_type = RTN_UNICAST};
    uint32_t next_hop = htonl(gateway);
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    attribute(RTA_GATEWAY, &next_hop, sizeof next_hop);
}

/* ---- wired links: two pairs whose far ends lie in a namespace of their own; what arrives at one far
 * end leaves by the other ---- */

static void create_far_end(const char *name, const char *peer_name, int peer_fd)
{
    struct ifinfomsg header = {0};
    uint32_t mtu = 65535;
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    attribute(IFLA_MTU, &mtu, sizeof mtu);
    struct rtattr *link = attribute(IFLA_LINKINFO | NLA_F_NESTED, NULL, 0);
    attribute(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *options = attribute(IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
    struct rtattr *peer = attribute(VETH_INFO_PEER | NLA_F_NESTED, NULL, 0);
    append(&header, sizeof header);
    attribute(IFLA_IFNAME, peer_name, strlen(peer_name) + 1);
    attribute(IFLA_NET_NS_FD, &peer_fd, sizeof peer_fd);
    end(peer);
    end(options);
    end(link);
}

static void pass_frames(int index, int to_index)
{
    struct tcmsg ingress = {.tcm_ifindex = index,
                            .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
                            .tcm_parent = TC_H_CLSACT};
    begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &ingress, sizeof ingress);
    attribute(TCA_KIND, "clsact", 7);

    struct tcmsg filter = {.tcm_ifindex = index,
                           .tcm_handle = 0x80000001,
                           .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                           .tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL))};
    struct {
        struct tc_u32_sel selector;
        struct tc_u32_key any;
    } match = {.selector = {.flags = TC_U32_TERMINAL, .nkeys = 1}};
    struct tc_mirred redirect = {
        .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)to_index};
    begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &filter, sizeof filter);
    attribute(TCA_KIND, "u32", 4);
    struct rtattr *options = attribute(TCA_OPTIONS | NLA_F_NESTED, NULL, 0);
    attribute(TCA_U32_SEL, &match, sizeof match.selector + sizeof match.any);
    struct rtattr *actions = attribute(TCA_U32_ACT | NLA_F_NESTED, NULL, 0);
    struct rtattr *first = attribute(1 | NLA_F_NESTED, NULL, 0);
    attribute(TCA_ACT_KIND, "mirred", 7);
    struct rtattr *parameters = attribute(TCA_ACT_OPTIONS | NLA_F_NESTED, NULL, 0);
    attribute(TCA_MIRRED_PARMS, &redirect, sizeof redirect);
    end(parameters);
    end(first);
    end(actions);
    end(options);
}

static void bring_up_silent(int index)
{
    int flags = IFF_UP | IFF_NOARP;
    struct ifinfomsg link = {
        .ifi_index = index, .ifi_flags = (unsigned)flags, .ifi_change = (unsigned)flags};
    begin(RTM_NEWLINK, 0, &link, sizeof link);
}

static void create_wired_links(int netlink)
{
    for (int i = 0; i < client_count; i++) {
        char name[IFNAMSIZ];
        snprintf(name, sizeof name, "w%da", i);
        create_far_end(name, clients[i].interface, clients[i].fd);
        snprintf(name, sizeof name, "w%db", i);
        create_far_end(name, clients[i].server_interface, server_fd);
        send_if_full(netlink);
    }
    for (int i = 0; i < client_count; i++) {
        int client_end = FIRST_INDEX + 2 * i, server_end = client_end + 1;
        pass_frames(client_end, server_end);
        pass_frames(server_end, client_end);
        bring_up_silent(client_end);
        bring_up_silent(server_end);
        send_if_full(netlink);
    }
    send_batch(netlink);
}

/* ---- namespaces ---- */

static void share_netns_folder(void)
{
    if (mkdir("/run/netns", 0755) && errno != EEXIST)
        fail("/run/netns");
    if (!mount("", "/run/netns", "none", MS_SHARED | MS_REC, NULL))
        return;
    if (mount("/run/netns", "/run/netns", "none", MS_BIND | MS_REC, NULL)
        || mount("", "/run/netns", "none", MS_SHARED | MS_REC, NULL))
        fail("/run/netns");
}

static void set_sysctl(const char *path, const char *value)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return; /* a kernel without IPv6 */
    if (file < 0 || write(file, value, strlen(value)) < 0)
        fail("%s", path);
    close(file);
}

static void create_namespace(int node, int *fd, int *netlink)
{
    char path[64];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    snprintf(path, sizeof path, "/run/netns/%s", netns_of(node));
    int name = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (name < 0)
        fail("%s", path);
    close(name);
    made = node + 1;
    if (unshare(CLONE_NEWNET))
        fail("cannot make a network namespace");
    if (mount("/proc/self/ns/net", path, "none", MS_BIND, NULL))
        fail("%s", path);
    *fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    *netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (*fd < 0 || *netlink < 0 || connect(*netlink, (void *)&kernel, sizeof kernel))
        fail("cannot open namespace %s", netns_of(node));
    /* As labctl does it for a lab without IPv6 addresses. */
    set_sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    if (node == SERVER)
        set_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
}

/* ---- the networks ---- */

static void describe_two_clients(void)
{
    static struct client two[3] = {
        {"ns_client1", "veth_c1", "veth_srv_c1", 0x0a000102, 0x0a000101, -1, -1},
        {"ns_client2", "veth_c2", "veth_srv_c2", 0x0a000202, 0x0a000201, -1, -1},
    };
    clients = two;
    client_count = 2;
}

static void describe_star(int count)
{
    clients = calloc((size_t)count + 1, sizeof *clients);
    if (!clients)
        fail("cannot describe %d clients", count);
    client_count = count;
    for (int i = 0; i < count; i++) {
        struct client *client = &clients[i];
        snprintf(client->netns, sizeof client->netns, "ns_client%d", i + 1);
        snprintf(client->interface, sizeof client->interface, "eth0");
        snprintf(client->server_interface, sizeof client->server_interface, "eth%d", i + 1);
        client->server_address = 0x0a000001u + ((uint32_t)(i + 1) << 8);
        client->address = client->server_address + 1;
    }
}

static void up(void)
{
    share_netns_folder();
    create_namespace(SERVER, &server_fd, &server_socket);
    for (int i = 0; i < client_count; i++) {
        create_namespace(i + 1, &clients[i].fd, &clients[i].socket);
        if (interrupted) {
            errno = EINTR;
            fail("stopped");
        }
    }
    if (is_wired) {
        struct client *hidden = &clients[client_count];
        snprintf(hidden->netns, sizeof hidden->netns, "ns_wire");
        create_namespace(client_count + 1, &hidden->fd, &hidden->socket);
        create_wired_links(hidden->socket);
    }
    for (int i = 0; i < client_count && !is_wired; i++) {
        create_link(&clients[i]);
        send_if_full(server_socket);
    }
    bring_up(LOOPBACK);
    for (int i = 0; i < client_count; i++) {
        if (is_wired)
            bring_up(FIRST_INDEX + i);
        assign_address(FIRST_INDEX + i, clients[i].server_address);
        send_if_full(server_socket);
    }
    send_batch(server_socket);
    for (int i = 0; i < client_count; i++) {
        bring_up(LOOPBACK);
        bring_up(FIRST_INDEX);
        assign_address(FIRST_INDEX, clients[i].address);
        add_default_route(clients[i].server_address);
        send_batch(clients[i].socket);
    }
}

static void down(void)
{
    snprintf(clients[client_count].netns, sizeof clients->netns, "ns_wire");
    for (int node = 0; node <= client_count + is_wired; node++)
        remove_name(node);
}

int main(int count, char **words)
{
    struct rlimit files;
    struct sigaction noted = {.sa_handler = note_signal};
    if (count > 3 && !strcmp(words[count - 1], "wired")) {
        is_wired = 1;
        count--;
    }
    if (count == 3 && !strcmp(words[2], "two_clients")) {
        describe_two_clients();
    } else if (count == 4 && !strcmp(words[2], "star") && atoi(words[3]) > 0) {
        describe_star(atoi(words[3]));
    } else {
        fputs("usage: network up|down two_clients [wired]\n"
              "       network up|down star CLIENTS [wired]\n",
              stderr);
        return 2;
    }
    sigaction(SIGINT, &noted, NULL);
    sigaction(SIGTERM, &noted, NULL);
    /* Two open files a namespace: more than most machines allow without being asked. */
    if (getrlimit(RLIMIT_NOFILE, &files))
        fail("cannot read the limit of open files");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files))
        fail("cannot raise the limit of open files");
    double start = now_ms();
    if (!strcmp(words[1], "up"))
        up();
    else
        down();
    printf("build_ms=%.3f\n", now_ms() - start);
    return 0;
}
