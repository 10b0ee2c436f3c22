/* Send lines as frames: HELLO, a DATA for each line, GOODBYE. usage: proto_client ADDRESS PORT */
#define _GNU_SOURCE /* getline */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto.h"

static uint32_t next_seq = 1;

static void tell(int fd, int type, const void *payload, size_t len)
{
    struct frame frame;
    make_frame(&frame, type, next_seq++, payload, len);
    if (send_frame(fd, &frame, 0) < 0)
        die("send");
}

static void wait_for_ack(int fd)
{
    struct frame frame;
    ssize_t got = receive_frame(fd, &frame);
    if (got <= 0 || frame.header.type != ACK) {
        fprintf(stderr, "error: recv: no ACK\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in server;
    const char *greeting = "Hello from client!";

    if (argc != 3) {
        fprintf(stderr, "usage: proto_client ADDRESS PORT\n");
        return 2;
    }
    parse_endpoint(&server, argv[1], argv[2]);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connect");

    tell(fd, HELLO, greeting, strlen(greeting));
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0) {
        if (line[len - 1] == '\n')
            len--;
        if (len > MAX_PAYLOAD) {
            fprintf(stderr, "error: line: longer than %d bytes\n", MAX_PAYLOAD);
            return 1;
        }
        tell(fd, DATA, line, len);
        wait_for_ack(fd);
    }
    tell(fd, GOODBYE, NULL, 0);
    wait_for_ack(fd);
    close(fd);
    return 0;
}
