/* Answer the frames of many clients. usage: proto_server ADDRESS PORT [-i MS] [-n CONNECTIONS] */
/* TODO: it dies of the first frame with a payload, and that is not all. Find out why, and mend it. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

enum { MAX_CLIENTS = 100 };

struct client {
    int fd; /* -1 where nobody is */
    uint32_t next_seq;
    int64_t last_frame_ms;
    struct frame frame;
};

static struct client clients[MAX_CLIENTS];
static int client_count;
static int limit = MAX_CLIENTS;
static int64_t idle_ms = 60000;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void drop(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

static void welcome(int listener)
{
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    if (client_count < limit) {
        struct client *client = &clients[client_count++];
        client->fd = fd;
        client->next_seq = 1;
        client->last_frame_ms = now_ms();
        return;
    }
}

static void answer(struct client *client, int type, const char *text)
{
    struct frame frame;
    make_frame(&frame, type, client->next_seq++, text, strlen(text));
    /* Who takes no answers is closed. */
    if (send_frame(client->fd, &frame, MSG_DONTWAIT) < 0)
        drop(client);
}

static void handle(struct client *client)
{
    client->last_frame_ms = now_ms();
    switch (client->frame.header.type) {
    case HELLO:
    case DATA:
        answer(client, ACK, "");
        break;
    case HEARTBEAT:
        answer(client, HEARTBEAT, "");
        break;
    case GOODBYE:
        answer(client, ACK, "");
        if (client->fd >= 0)
            drop(client);
        break;
    default:
        answer(client, ERROR, "unknown type");
    }
}

static void receive(struct client *client)
{
    if (receive_frame(client->fd, &client->frame) <= 0)
        drop(client);
    else
        handle(client);
}

/* Close who has sent no whole frame for too long. Returns the milliseconds until somebody has. */
static int close_the_idle(void)
{
    int64_t first_ms = -1;
    for (int i = 0; i < limit; i++) {
        if (clients[i].fd < 0)
            continue;
        int64_t left_ms = clients[i].last_frame_ms + idle_ms - now_ms();
        if (left_ms <= 0)
            drop(&clients[i]);
        else if (first_ms < 0 || left_ms < first_ms)
            first_ms = left_ms;
    }
    return first_ms;
}

static void serve(int listener)
{
    struct pollfd polled[MAX_CLIENTS + 1];
    struct client *whose[MAX_CLIENTS + 1];

    for (;;) {
        nfds_t count = 0;
        polled[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < limit; i++) {
            if (clients[i].fd >= 0) {
                whose[count] = &clients[i];
                polled[count++] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
            }
        }
        int ready = poll(polled, count, idle_ms);
        if (ready < 0 && errno != EINTR)
            die("poll");
        if (ready == 0)
            close_the_idle();
        if (ready <= 0)
            continue;
        for (nfds_t i = 1; i < count; i++)
            if (polled[i].revents)
                receive(whose[i]);
        /* Last, so that a new client does not get the place of one that is still in the list. */
        if (polled[0].revents)
            welcome(listener);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int option, on = 1;

    while ((option = getopt(argc, argv, "i:n:")) != -1) {
        if (option == 'i')
            idle_ms = atoi(optarg);
        else if (option == 'n')
            limit = atoi(optarg);
        else
            argc = 0;
    }
    if (argc - optind != 2 || idle_ms < 1 || limit < 1 || limit > MAX_CLIENTS) {
        fprintf(stderr, "usage: proto_server ADDRESS PORT [-i MS] [-n CONNECTIONS]\n");
        return 2;
    }
    parse_endpoint(&address, argv[optind], argv[optind + 1]);
    for (int i = 0; i < MAX_CLIENTS; i++)
        clients[i].fd = -1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0)
        die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(listener, 64) < 0)
        die("listen");
    printf("READY\n");
    fflush(stdout);
    serve(listener);
}
