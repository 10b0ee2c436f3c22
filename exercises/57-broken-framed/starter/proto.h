/* FRAME/1: a header of 24 bytes, big endian, and a payload. */
#ifndef PROTO_H
#define PROTO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { VERSION = 1, MAX_PAYLOAD = 1024 };
enum { HELLO = 1, DATA, ACK, ERROR, HEARTBEAT, GOODBYE };

/* As it is on the wire: every number in network byte order. */
struct header {
    uint8_t version;
    uint8_t type;
    uint16_t flags;
    uint32_t seq;
    uint32_t len;
    uint32_t sum;
    uint64_t ts;
} __attribute__((packed));

struct frame {
    struct header header;
    uint8_t payload[MAX_PAYLOAD];
} __attribute__((packed));

/* The size of a whole frame, in bytes. */
size_t frame_size(const struct frame *frame);

void make_frame(struct frame *frame, int type, uint32_t seq, const void *payload, size_t len);

/* Whether version and length are good; only then is the payload worth waiting for. */
int header_is_good(const struct frame *frame);

/* Whether the sum of a whole frame with a good header is right. */
int sum_is_good(const struct frame *frame);

/* Send all of it. Returns 0, or -1. */
int send_frame(int fd, const struct frame *frame, int flags);

/* Receive a whole frame, however long it takes. Returns its size, 0 at the end, or -1. */
ssize_t receive_frame(int fd, struct frame *frame);

/* Say which call failed, and exit with status 1. */
void die(const char *call);

/* Fill in what the user typed; exit where it is no address or no port. */
struct sockaddr_in;
void parse_endpoint(struct sockaddr_in *endpoint, const char *address, const char *port);

#endif
