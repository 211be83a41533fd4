/* Connection load: `dial PORT AT_A_TIME SECONDS`.
 *
 * Connects, sends one byte, reads it back and the end behind it, closes, and begins again; so many
 * at a time. Ends with one line of JSON. Closing with a reset, after the server's end, leaves no
 * TIME_WAIT on either side, so that ports do not run out.
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
#include <unistd.h>

#define MAX_EVENTS 256

struct connection {
    int fd, is_answered;
    char byte;
};

static struct sockaddr_in address = {.sin_family = AF_INET};
static int poll;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "wrong answer");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void dial(struct connection *c) {
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->is_answered = 0, c->byte++;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    /* On the loopback device a connect is over when it returns. */
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    if (send(c->fd, &c->byte, 1, MSG_NOSIGNAL) != 1) fail("send");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
}

/* Say whether the connection is over. */
static int read_answer(struct connection *c) {
    char answer[2];
    ssize_t n = recv(c->fd, answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) fail("recv");
    errno = 0;
    if (n == 0 && !c->is_answered) fail("closed without an answer");
    if (n > 1 || (n == 1 && (c->is_answered++ || answer[0] != c->byte))) fail("echo");
    return n == 0;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int count = atoi(argv[2]);
    poll = epoll_create1(0);
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct connection *all = calloc((size_t)count, sizeof *all);
    struct epoll_event events[MAX_EVENTS];
    double began = now(), until = began + atof(argv[3]), time = began;
    uint64_t done = 0;
    for (int i = 0; i < count; i++) dial(&all[i]);
    while ((time = now()) < until) {
        int n = epoll_wait(poll, events, MAX_EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!read_answer(c)) continue;
            close(c->fd);
            done++;
            dial(c);
        }
    }
    printf("{\"connections\": %llu, \"seconds\": %.6f}\n", (unsigned long long)done, time - began);
    return 0;
}
