/* Netlink messages of network.c: appended to one buffer, sent when it is full or a namespace is done. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH_BYTES = 60000, LONGEST_MESSAGE = 512 };

static void fail(const char *format, ...);

static _Alignas(NLMSG_ALIGNTO) char batch[BATCH_BYTES + LONGEST_MESSAGE];
static size_t used;
static struct nlmsghdr *message;
static uint32_t sequence;

static void *append(const void *bytes, size_t length)
{
    char *at = batch + used;
    memset(at, 0, NLMSG_ALIGN(length));
    if (bytes)
        memcpy(at, bytes, length);
    used += NLMSG_ALIGN(length);
    message->nlmsg_len = (uint32_t)(batch + used - (char *)message);
    return at;
}

static void begin(uint16_t type, uint16_t flags, const void *header, size_t length)
{
    message = (struct nlmsghdr *)(batch + used);
    append(NULL, sizeof *message);
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    message->nlmsg_seq = ++sequence;
    append(header, length);
}

static struct rtattr *attribute(uint16_t type, const void *value, size_t length)
{
    struct rtattr header = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(length)};
    struct rtattr *start = append(&header, sizeof header);
    if (length)
        append(value, length);
    return start;
}

static void end(struct rtattr *nest)
{
    nest->rta_len = (uint16_t)(batch + used - (char *)nest);
}

static void send_batch(int netlink)
{
    char answer[16384];
    if (!used)
        return;
    /* The kernel answers every failure unasked, and handles messages in order: an answer to the
     * last one is an answer to all. */
    message->nlmsg_flags |= NLM_F_ACK;
    if (send(netlink, batch, used, 0) < 0)
        fail("cannot send");
    used = 0;
    for (;;) {
        ssize_t received = recv(netlink, answer, sizeof answer, 0);
        if (received < 0) {
            if (errno == EINTR)
                continue;
            fail("cannot receive");
        }
        int rest = (int)received;
        for (struct nlmsghdr *reply = (void *)answer; NLMSG_OK(reply, rest);
             reply = NLMSG_NEXT(reply, rest)) {
            struct nlmsgerr *result = NLMSG_DATA(reply);
            if (reply->nlmsg_type != NLMSG_ERROR)
                continue;
            errno = -result->error;
            if (errno)
                fail("message %u was refused", reply->nlmsg_seq);
            if (reply->nlmsg_seq == sequence)
                return;
        }
    }
}

static void send_if_full(int netlink)
{
    if (used > BATCH_BYTES - LONGEST_MESSAGE)
        send_batch(netlink);
}
