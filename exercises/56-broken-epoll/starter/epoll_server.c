/* Send everything back, by edge-triggered epoll. usage: epoll_server ADDRESS PORT [-n CLIENTS] */
#define _GNU_SOURCE /* accept4, strerrorname_np */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 8192, MOST_EVENTS = 64 };

static int epoll_fd, listener, count, limit = 1000;

static void die(const char *call)
{
    const char *name = strerrorname_np(errno);
    fprintf(stderr, "error: %s: %s (%s)\n", call, name ? name : "unknown error", strerror(errno));
    exit(1);
}

static void watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

/* An edge says "something has come", once, however much it is: go on until EAGAIN. */
static void welcome(void)
{
    while (count < limit) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue; /* a signal came, or it has left again */
        if (fd < 0)
            return;
        count++;
        watch(fd, EPOLLIN);
    }
}

static void leave(int fd)
{
    close(fd);
    count--;
    welcome(); /* those who came while it was full: for them there is no edge any more */
}

/* TODO: this loses bytes, and it is not the only mistake in here. */
static void echo(int fd)
{
    char buffer[BUFFER_SIZE];

    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0)
            return;
        if (got == 0) {
            leave(fd);
            return;
        }
        for (ssize_t sent = 0, now; sent < got; sent += now) {
            now = send(fd, buffer + sent, got - sent, MSG_NOSIGNAL);
            if (now < 0 && errno == EAGAIN)
                break; /* its buffer is full */
            if (now < 0) {
                leave(fd);
                return;
            }
        }
    }
}

static void serve(void)
{
    struct epoll_event events[MOST_EVENTS];

    for (;;) {
        int ready = epoll_wait(epoll_fd, events, MOST_EVENTS, -1);
        if (ready < 0)
            die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                welcome();
            else {
                if (events[i].events & EPOLLIN)
                    echo(fd);
                if (events[i].events & (EPOLLHUP | EPOLLERR))
                    leave(fd);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char *end = "";
    unsigned long port = 0;
    int option, on = 1;

    while ((option = getopt(argc, argv, "n:")) != -1) {
        if (option == 'n')
            limit = atoi(optarg);
        else
            limit = 0;
    }
    if (argc - optind != 2 || limit < 1 || limit > 1000) {
        fprintf(stderr, "usage: epoll_server ADDRESS PORT [-n CLIENTS]\n");
        return 2;
    }
    if (inet_pton(AF_INET, argv[optind], &address.sin_addr) != 1) {
        fprintf(stderr, "error: address: \"%s\" is not an IPv4 address\n", argv[optind]);
        return 1;
    }
    port = strtoul(argv[optind + 1], &end, 10);
    if (end == argv[optind + 1] || *end || port > 65535) {
        fprintf(stderr, "error: port: \"%s\" is not a number from 0 to 65535\n", argv[optind + 1]);
        return 1;
    }
    address.sin_port = htons(port);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0)
        die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(listener, 128) < 0)
        die("listen");
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        die("epoll_create1");
    watch(listener, EPOLLIN);
    printf("READY\n");
    fflush(stdout);
    serve();
}
