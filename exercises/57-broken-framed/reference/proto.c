#define _DEFAULT_SOURCE /* htobe64 */
#define _GNU_SOURCE     /* strerrorname_np */
#include "proto.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

size_t frame_size(const struct frame *frame)
{
    /* ntohl: on a little-endian machine 18 would be 301989888, and a loop over so many bytes
       leaves the frame, and soon the memory of the process. */
    return sizeof frame->header + ntohl(frame->header.len);
}

static uint32_t checksum(const struct frame *frame)
{
    const uint8_t *bytes = (const uint8_t *)frame;
    uint32_t total = 0;

    for (size_t i = 0; i < frame_size(frame); i++) {
        size_t at = offsetof(struct header, sum);
        if (i < at || i >= at + sizeof frame->header.sum)
            total += bytes[i];
    }
    return total;
}

void make_frame(struct frame *frame, int type, uint32_t seq, const void *payload, size_t len)
{
    memset(frame, 0, sizeof *frame);
    frame->header.version = VERSION;
    frame->header.type = type;
    frame->header.seq = htonl(seq);
    frame->header.len = htonl(len);
    frame->header.ts = htobe64(time(NULL));
    if (len)
        memcpy(frame->payload, payload, len);
    frame->header.sum = htonl(checksum(frame));
}

int header_is_good(const struct frame *frame)
{
    return frame->header.version == VERSION && ntohl(frame->header.len) <= MAX_PAYLOAD;
}

int sum_is_good(const struct frame *frame)
{
    return ntohl(frame->header.sum) == checksum(frame);
}

int send_frame(int fd, const struct frame *frame, int flags)
{
    const uint8_t *bytes = (const uint8_t *)frame;
    size_t size = sizeof frame->header + ntohl(frame->header.len);
    size_t sent = 0;

    while (sent < size) {
        ssize_t now = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL | flags);
        if (now < 0)
            return -1;
        sent += now;
    }
    return 0;
}

ssize_t receive_frame(int fd, struct frame *frame)
{
    ssize_t got = recv(fd, &frame->header, sizeof frame->header, MSG_WAITALL);
    if (got <= 0)
        return got;
    if ((size_t)got != sizeof frame->header || !header_is_good(frame))
        return -1;
    size_t len = ntohl(frame->header.len);
    if (len && recv(fd, frame->payload, len, MSG_WAITALL) != (ssize_t)len)
        return -1;
    return sum_is_good(frame) ? (ssize_t)(sizeof frame->header + len) : -1;
}

void die(const char *call)
{
    const char *name = strerrorname_np(errno);
    fprintf(stderr, "error: %s: %s (%s)\n", call, name ? name : "unknown error", strerror(errno));
    exit(1);
}

void parse_endpoint(struct sockaddr_in *endpoint, const char *address, const char *port)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);

    memset(endpoint, 0, sizeof *endpoint);
    endpoint->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &endpoint->sin_addr) != 1) {
        fprintf(stderr, "error: address: \"%s\" is not an IPv4 address\n", address);
        exit(1);
    }
    if (*port < '0' || *port > '9' || *end || number > 65535) {
        fprintf(stderr, "error: port: \"%s\" is not a number from 0 to 65535\n", port);
        exit(1);
    }
    endpoint->sin_port = htons(number);
}
