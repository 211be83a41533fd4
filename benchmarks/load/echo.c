/* TCP echo load: `echo PORT CONNECTIONS SIZE DEPTH SECONDS`.
 *
 * Keeps DEPTH messages of SIZE bytes in flight on each connection, checks what comes back,
 * and ends with one line of JSON. In C, since a loop in Python costs as much for each
 * message as the servers it should drive. Compiled with -DWITH_TLS (and -lssl) it speaks TLS,
 * verifies nobody, and does not count the handshakes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

#define READ_SIZE (256 * 1024)
/* Comparing all of large messages would make this the slower side: the first ones are compared
 * whole, of what comes later the first bytes of each read. */
#define CHECKED_WHOLE 16
#define SAMPLE 256
#define MAX_EVENTS 256

struct connection {
    int fd;
#ifdef WITH_TLS
    SSL *tls;
#endif
    uint64_t sent, received;
};

static size_t size, depth;
static char *message, *incoming;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "wrong bytes");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* As send and recv: EAGAIN where they would wait. */
#ifdef WITH_TLS
static SSL_CTX *context;

static ssize_t outcome(struct connection *c, int n) {
    int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->tls, n);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : n > 0 ? n : -1;
}

static ssize_t transmit(struct connection *c, const char *data, size_t length) {
    return outcome(c, SSL_write(c->tls, data, (int)length));
}

static ssize_t receive(struct connection *c) {
    return outcome(c, SSL_read(c->tls, incoming, READ_SIZE));
}

static void begin(struct connection *c) {
    c->tls = SSL_new(context);
    if (!SSL_set_fd(c->tls, c->fd) || SSL_connect(c->tls) != 1) fail("handshake");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}
#else
static ssize_t transmit(struct connection *c, const char *data, size_t length) {
    return send(c->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t receive(struct connection *c) {
    return recv(c->fd, incoming, READ_SIZE, MSG_DONTWAIT);
}
#endif

static void fill(struct connection *c) {
    while (c->sent - c->received < depth * size) {
        size_t offset = c->sent % size, room = depth * size - (c->sent - c->received);
        size_t length = size - offset < room ? size - offset : room;
        ssize_t n = transmit(c, message + offset, length);
        if (n < 0 && errno == EAGAIN) return; /* EPOLLOUT is edge-triggered: it will come */
        if (n < 0) fail("send");
        c->sent += (uint64_t)n;
    }
}

static void check(uint64_t position, const char *data, size_t length) {
    while (length) {
        size_t offset = position % size, part = size - offset < length ? size - offset : length;
        errno = 0;
        if (memcmp(message + offset, data, part)) fail("echo");
        position += part, data += part, length -= part;
    }
}

static void drain(struct connection *c) {
    for (;;) {
        ssize_t n = receive(c);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) fail(n ? "recv" : "closed by the server");
        check(c->received, incoming, c->received < CHECKED_WHOLE * size || n < SAMPLE ? n : SAMPLE);
        c->received += (uint64_t)n;
        fill(c);
#ifndef WITH_TLS /* a record is not all that has come */
        if (n < READ_SIZE) return; /* edge-triggered: what comes later is a new event */
#endif
    }
}

static void open_connection(struct connection *c, int poll, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
#ifdef WITH_TLS
    begin(c);
#endif
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), poll = epoll_create1(0);
    size = (size_t)atol(argv[3]), depth = (size_t)atol(argv[4]);
    message = malloc(size), incoming = malloc(READ_SIZE);
    for (size_t i = 0; i < size; i++) message[i] = (char)(i * 31 + i / 251);
#ifdef WITH_TLS
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#endif
    struct connection *all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count; i++) open_connection(&all[i], poll, port);

    struct epoll_event events[MAX_EVENTS];
    double began = now(), until = began + atof(argv[5]), time = began;
    for (int i = 0; i < count; i++) fill(&all[i]);
    while ((time = now()) < until) {
        int n = epoll_wait(poll, events, MAX_EVENTS, 100);
        for (int i = 0; i < n; i++) {
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) drain(events[i].data.ptr);
            if (events[i].events & EPOLLOUT) fill(events[i].data.ptr);
        }
    }
    uint64_t received = 0;
    int silent = 0;
    for (int i = 0; i < count; i++) received += all[i].received, silent += !all[i].received;
    printf("{\"messages\": %.1f, \"seconds\": %.6f, \"bytes\": %llu, \"silent\": %d}\n",
           (double)received / (double)size, time - began, (unsigned long long)received, silent);
    return 0;
}
