/* UDP echo load: `udp_echo PORT SOCKETS SIZE SECONDS`.
 *
 * Keeps one datagram of SIZE bytes in flight on each of SOCKETS connected sockets, checks what
 * comes back, and ends with one line of JSON. When nothing has come for a tenth of a second,
 * everything in flight is taken for lost and sent again; how much that was is said, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define MOST_BYTES 65536
#define MAX_EVENTS 256
#define LOST_AFTER_MS 100

struct peer {
    int fd;
    /* The number of the datagram in flight; its first bytes say whose and which it is. */
    uint32_t index, number;
    uint64_t received;
};

static size_t size;
static char *message, incoming[MOST_BYTES];

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "wrong bytes");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sign(const struct peer *p) {
    memcpy(message, &p->index, sizeof p->index);
    memcpy(message + sizeof p->index, &p->number, sizeof p->number);
}

static void ask(struct peer *p) {
    sign(p);
    if (send(p->fd, message, size, MSG_DONTWAIT) != (ssize_t)size && errno != EAGAIN) fail("send");
}

static void hear(struct peer *p) {
    ssize_t n = recv(p->fd, incoming, sizeof incoming, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("recv");
    sign(p);
    errno = 0;
    if ((size_t)n != size) fail("length");
    /* One that was taken for lost may still come. */
    if (memcmp(incoming + sizeof p->index, &p->number, sizeof p->number)) return;
    if (memcmp(message, incoming, size)) fail("echo");
    p->received++, p->number++;
    ask(p);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[2]), poll = epoll_create1(0);
    size = (size_t)atol(argv[3]);
    if (size < 2 * sizeof(uint32_t) || size > MOST_BYTES) return 2;
    message = malloc(size);
    for (size_t i = 0; i < size; i++) message[i] = (char)(i * 31 + i / 251);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct peer *all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count; i++) {
        all[i].index = (uint32_t)i;
        all[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (connect(all[i].fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }

    struct epoll_event events[MAX_EVENTS];
    uint64_t lost = 0;
    double began = now(), until = began + atof(argv[4]), time = began;
    for (int i = 0; i < count; i++) ask(&all[i]);
    while ((time = now()) < until) {
        int n = epoll_wait(poll, events, MAX_EVENTS, LOST_AFTER_MS);
        for (int i = 0; i < n; i++) hear(events[i].data.ptr);
        if (n) continue;
        for (int i = 0; i < count; i++) ask(&all[i]);
        lost += (uint64_t)count;
    }
    uint64_t received = 0;
    int silent = 0;
    for (int i = 0; i < count; i++) received += all[i].received, silent += !all[i].received;
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"lost\": %llu, \"silent\": %d}\n",
           (unsigned long long)received, time - began, (unsigned long long)lost, silent);
    return 0;
}
