/* Sends packets from one network namespace to another, faster than an emulator can take them.
 *
 * usage: traffic tcp FROM TO ADDRESS MEGABYTES
 *        traffic udp FROM TO ADDRESS PACKETS PACKETS_PER_SECOND
 *
 * FROM and TO are files such as /run/netns/client; ADDRESS is one of TO's. Prints how long it took from the
 * first byte sent to the last one received, "transfer_ms=81.2", or how many packets came, "received=990".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 9, CHUNK = 1 << 17, DATAGRAM = 64, AT_ONCE = 32, PATIENCE_S = 120 };

static char last_word[DATAGRAM]; /* of this run: one of the run before may still be on its way */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int checked(int result, const char *what)
{
    if (result < 0)
        fail(what);
    return result;
}

static int socket_in(const char *netns, int type)
{
    int fd = checked(open(netns, O_RDONLY | O_CLOEXEC), netns);
    checked(setns(fd, CLONE_NEWNET), netns);
    close(fd);
    return checked(socket(AF_INET, type, 0), "socket");
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_until(int64_t moment_ns)
{
    struct timespec moment = {moment_ns / 1000000000, moment_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL))
        ;
}

static void transfer(const char *from, int listener, const struct sockaddr_in *address, long bytes)
{
    static char chunk[CHUNK];
    checked(listen(listener, 1), "listen");
    pid_t receiver = checked(fork(), "fork");
    if (receiver == 0) {
        int peer = checked(accept(listener, NULL, NULL), "accept");
        while (checked(recv(peer, chunk, CHUNK, 0), "recv") > 0)
            ;
        exit(0);
    }
    int sock = socket_in(from, SOCK_STREAM);
    checked(connect(sock, (const struct sockaddr *)address, sizeof *address), "connect");
    int64_t start_ns = now_ns();
    for (long left = bytes; left > 0;)
        left -= checked(send(sock, chunk, left < CHUNK ? left : CHUNK, 0), "send");
    shutdown(sock, SHUT_WR);
    int status;
    checked(waitpid(receiver, &status, 0), "waitpid");
    if (status)
        exit(1);
    printf("transfer_ms=%.3f\n", (now_ns() - start_ns) / 1e6);
}

static long received_until_last_word(int sock)
{
    char datagram[DATAGRAM];
    long count = 0;
    for (;;) {
        checked(recv(sock, datagram, DATAGRAM, 0), "recv");
        if (!memcmp(datagram, last_word, DATAGRAM))
            return count;
        count++;
    }
}

static void flood(
    const char *from, int receiving, const struct sockaddr_in *address, long packets, long per_s)
{
    static char datagram[DATAGRAM];
    struct iovec word = {datagram, DATAGRAM};
    struct mmsghdr messages[AT_ONCE] = {0};
    for (int i = 0; i < AT_ONCE; i++)
        messages[i].msg_hdr.msg_iov = &word, messages[i].msg_hdr.msg_iovlen = 1;
    pid_t receiver = checked(fork(), "fork");
    if (receiver == 0) {
        printf("received=%ld\n", received_until_last_word(receiving));
        fflush(stdout);
        exit(0);
    }
    int sock = socket_in(from, SOCK_DGRAM);
    checked(connect(sock, (const struct sockaddr *)address, sizeof *address), "connect");
    int64_t start_ns = now_ns();
    for (long sent = 0; sent < packets;) {
        sleep_until(start_ns + sent * 1000000000LL / per_s);
        long now = packets - sent < AT_ONCE ? packets - sent : AT_ONCE;
        sent += checked(sendmmsg(sock, messages, now, 0), "sendmmsg");
    }
    /* The last word may be lost as any other. In its place behind all the others it also tells that the
     * emulator is done with them. */
    int64_t said_ns = now_ns();
    while (!waitpid(receiver, NULL, WNOHANG)) {
        if (now_ns() - start_ns > PATIENCE_S * 1000000000LL) {
            fputs("traffic: the last packet did not come\n", stderr);
            exit(1);
        }
        checked(send(sock, last_word, DATAGRAM, 0), "send");
        sleep_until(said_ns += 5000000);
    }
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fputs("usage: traffic tcp|udp FROM TO ADDRESS AMOUNT [PER_SECOND]\n", stderr);
        return 2;
    }
    int is_tcp = !strcmp(argv[1], "tcp");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (!inet_aton(argv[4], &address.sin_addr)) {
        fprintf(stderr, "traffic: %s is not an address\n", argv[4]);
        return 2;
    }
    long amount = atol(argv[5]);
    alarm(PATIENCE_S);
    snprintf(last_word, sizeof last_word, "end of the run at %lld", (long long)now_ns());
    int receiving = socket_in(argv[3], is_tcp ? SOCK_STREAM : SOCK_DGRAM);
    int one = 1;
    setsockopt(receiving, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    checked(bind(receiving, (struct sockaddr *)&address, sizeof address), "bind");
    if (is_tcp)
        transfer(argv[2], receiving, &address, amount << 20);
    else
        flood(argv[2], receiving, &address, amount, argc > 6 ? atol(argv[6]) : 1);
    return 0;
}
