/* Send each datagram back, cut to the 64 bytes of the buffer.
 *
 * usage: echo_server [ADDRESS [PORT]]        (0.0.0.0 5678)
 *
 * What it shows, beside what echo_server.py does: recv() and recvfrom() return no flags, so in C, too,
 * it takes recvmsg() to learn that a datagram was cut. Linux would return the real length from
 * recvfrom(…, MSG_TRUNC); POSIX does not promise that.
 */

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BUFFER_SIZE 64

/* POSIX has a text for an error number, strerror(), and none for its name. */
static const char *name_of(int number)
{
    switch (number) {
    case EACCES: return "EACCES";
    case EADDRINUSE: return "EADDRINUSE";
    case EADDRNOTAVAIL: return "EADDRNOTAVAIL";
    case EBADF: return "EBADF";
    case EHOSTUNREACH: return "EHOSTUNREACH";
    case EINVAL: return "EINVAL";
    case EMFILE: return "EMFILE";
    case ENETUNREACH: return "ENETUNREACH";
    case ENOBUFS: return "ENOBUFS";
    case ENOSPC: return "ENOSPC";
    case EPERM: return "EPERM";
    case EPIPE: return "EPIPE";
    default: return "unknown error";
    }
}

static void fail(const char *call)
{
    int number = errno; /* fprintf() may change it */
    fprintf(stderr, "error: %s: %s (%s)\n", call, name_of(number), strerror(number));
    exit(1);
}

/* stdout is buffered when it is a pipe or a file: without this a line would stay here. */
static void flush(void)
{
    if (fflush(stdout) == EOF)
        fail("write");
}

static struct sockaddr_in endpoint(const char *address, const char *port)
{
    struct sockaddr_in wanted;
    char *end;
    long number;

    memset(&wanted, 0, sizeof wanted);
    wanted.sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &wanted.sin_addr) != 1) {
        fprintf(stderr, "error: address: \"%s\" is not an IPv4 address\n", address);
        exit(1);
    }
    number = strtol(port, &end, 10);
    /* strtol() also takes blanks, a sign, and nothing at all. */
    if (port[0] < '0' || port[0] > '9' || *end != '\0' || number > 65535) {
        fprintf(stderr, "error: port: \"%s\" is not a number from 0 to 65535\n", port);
        exit(1);
    }
    wanted.sin_port = htons((unsigned short)number);
    return wanted;
}

static void say_where(int sock)
{
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    char address[INET_ADDRSTRLEN];

    if (getsockname(sock, (struct sockaddr *)&bound, &size) == -1)
        fail("getsockname");
    inet_ntop(AF_INET, &bound.sin_addr, address, sizeof address);
    printf("bound to %s:%d\n", address, ntohs(bound.sin_port));
}

static void serve(int sock)
{
    for (;;) {
        char buffer[BUFFER_SIZE];
        struct sockaddr_in sender;
        struct iovec part = {.iov_base = buffer, .iov_len = sizeof buffer};
        struct msghdr message;
        ssize_t size;

        memset(&message, 0, sizeof message);
        message.msg_name = &sender;
        message.msg_namelen = sizeof sender;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        /* 0 is not the end, as it would be on TCP: a datagram may be empty. */
        size = recvmsg(sock, &message, 0);
        if (size == -1)
            fail("recvmsg");
        printf("recv=%zd trunc=%d\n", size, (message.msg_flags & MSG_TRUNC) != 0);
        flush();
        /* As many bytes as came: the rest of the buffer is left over from earlier datagrams. */
        if (sendto(sock, buffer, (size_t)size, 0, (struct sockaddr *)&sender, sizeof sender) == -1)
            fprintf(stderr, "not answered: %s\n", name_of(errno));
    }
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "0.0.0.0";
    const char *port = argc > 2 ? argv[2] : "5678";
    struct sockaddr_in wanted;
    int sock;

    if (argc > 3) {
        fprintf(stderr, "usage: echo_server [ADDRESS [PORT]]\n");
        return 2;
    }
    wanted = endpoint(address, port);
    /* When nobody reads our output any more let the write fail, instead of being killed for it. */
    signal(SIGPIPE, SIG_IGN);
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock == -1)
        fail("socket");
    if (bind(sock, (struct sockaddr *)&wanted, sizeof wanted) == -1)
        fail("bind");
    if (wanted.sin_port == 0)
        say_where(sock);
    puts("READY");
    flush();
    serve(sock);
}
