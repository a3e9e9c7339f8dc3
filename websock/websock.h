/* websock.h: the whole public interface of libwebsock, a WebSocket (RFC 6455)
 * server library. C99 and C++; needs only the C library and POSIX sockets.
 * Manual: libwebsock(7), and a page in section 3 for every function.
 *
 * Conventions, said once:
 *  1. Functions are libwebsock_*, constants WS_* (the protocol's) and
 *     LIBWEBSOCK_* (ours).
 *  2. A function that returns int returns 0, or -1 with errno set. One that
 *     returns a pointer returns NULL on failure. Nothing here exits, aborts or
 *     raises SIGPIPE, and no descriptor that the library opens is 0, 1 or 2.
 *  3. Strings given to the library are UTF-8, NUL-terminated and copied; the
 *     caller may reuse them on return. Strings given by the library are read,
 *     never freed. Host names, file names and header values are plain bytes.
 *  4. The library allocates every struct below but libwebsock_statistics,
 *     libwebsock_tls_options and libwebsock_tls_host. Fields are added at the
 *     end; sizeof of those it allocates is no contract.
 *  5. Callbacks run on worker threads, never on the thread that accepts or on
 *     one that reads a connection, so they may block. Events of one client run
 *     one at a time, in order, onopen first and onclose last. A callback
 *     must not throw, longjmp or end its thread.
 *  6. Functions that take a client may be called from any thread, in or out of
 *     a callback, while the caller has a right to the handle: inside that
 *     client's callbacks, or between libwebsock_retain and libwebsock_release.
 *  7. Times are milliseconds, sizes are bytes.
 *  8. libwebsock.a defines these functions and no other name. It may become part
 *     of a shared object (-fPIC), which then exports them and nothing else of it.
 *  9. A context serves in one process. A child that is forked before may serve
 *     with its copy; one that is forked while the context serves may exec or
 *     _exit, and gets EPERM here. libwebsock(7), Processes.
 */
#ifndef WEBSOCK_WEBSOCK_H
#define WEBSOCK_WEBSOCK_H

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Exported by a shared object that libwebsock.a is part of; the rest of it is
 * not, whatever -fvisibility says. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define LIBWEBSOCK_VERSION_MAJOR 1
#define LIBWEBSOCK_VERSION_MINOR 0
#define LIBWEBSOCK_VERSION_PATCH 0

/* Opcodes, RFC 6455 5.2. */
#define WS_OPCODE_CONTINUE 0x0
#define WS_OPCODE_TEXT 0x1
#define WS_OPCODE_BINARY 0x2
#define WS_OPCODE_CLOSE 0x8
#define WS_OPCODE_PING 0x9
#define WS_OPCODE_PONG 0xa

/* The FIN bit in the flags of libwebsock_send_fragment. */
#define WS_FRAGMENT_FIN (1 << 7)

/* Close codes, RFC 6455 7.4.1. 1005 and 1006 are only ever reported, in
 * close_info; 1004, 1005 and 1006 are never sent. */
#define WS_CLOSE_NORMAL 1000
#define WS_CLOSE_GOING_AWAY 1001
#define WS_CLOSE_PROTOCOL_ERROR 1002
#define WS_CLOSE_NOT_ALLOWED 1003
#define WS_CLOSE_RESERVED 1004
#define WS_CLOSE_NO_CODE 1005
#define WS_CLOSE_DIRTY 1006
#define WS_CLOSE_WRONG_TYPE 1007
#define WS_CLOSE_POLICY_VIOLATION 1008
#define WS_CLOSE_MESSAGE_TOO_BIG 1009
#define WS_CLOSE_UNEXPECTED_ERROR 1011

/* Levels of onlog, most urgent first. */
#define LIBWEBSOCK_LOG_ERROR 0   /* the server cannot do what it was told */
#define LIBWEBSOCK_LOG_WARNING 1 /* a resource ran out, a deadline cut something off */
#define LIBWEBSOCK_LOG_INFO 2    /* one client was refused or failed, and why */
#define LIBWEBSOCK_LOG_DEBUG 3   /* every connection's beginning and end */

typedef struct libwebsock_context libwebsock_context;
typedef struct libwebsock_client_state libwebsock_client_state;

/* A complete message. Valid until the callback that got it returns; the
 * callback may write to payload. */
typedef struct libwebsock_message {
    unsigned int opcode;            /* WS_OPCODE_TEXT (valid UTF-8) or WS_OPCODE_BINARY */
    unsigned long long payload_len; /* bytes, without the NUL that follows them */
    char *payload;                  /* payload[payload_len] is NUL */
} libwebsock_message;

/* One frame: a control frame for control_callback, or, without its payload, the
 * frame that onframetoolarge is told of. Valid until the callback returns. */
typedef struct libwebsock_frame {
    unsigned int fin;               /* 1 or 0 */
    unsigned int opcode;            /* WS_OPCODE_* */
    unsigned long long payload_len; /* as the frame's header announces it */
    const char *payload;            /* NUL-terminated; NULL for onframetoolarge */
} libwebsock_frame;

/* How a connection ended, RFC 6455 7.1.5 and 7.1.6: the code and reason of the
 * peer's Close frame; WS_CLOSE_NO_CODE when that frame had none;
 * WS_CLOSE_DIRTY when no Close frame was read, and then reason is the library's
 * own word on why, such as "Connection reset by peer". Once the library has found
 * an error of the peer's, such as 1002, 1007 or 1009, it reads no Close any more:
 * the code is always WS_CLOSE_DIRTY then. */
typedef struct libwebsock_close_info {
    unsigned short code;
    char reason[124]; /* NUL-terminated UTF-8 */
} libwebsock_close_info;

/* The HTTP request that opened a connection. Read-only; lives as long as the
 * client handle. */
typedef struct libwebsock_request {
    const char *method; /* "GET" */
    const char *path;   /* percent-encoded as sent, without the query: "/chat" */
    const char *query;  /* what followed '?', "" if nothing did */
    int is_websocket;   /* 1: asks for an upgrade, and validly; 0: plain HTTP */
    const void *priv;   /* the library's */
} libwebsock_request;

/* Versions of TLS, for min_version. */
#define LIBWEBSOCK_TLS_1_2 0x0303
#define LIBWEBSOCK_TLS_1_3 0x0304

/* A further certificate of a TLS listener, for the clients that ask for host
 * (SNI, RFC 6066 3): "example.org", or "*.example.org" for any one label in
 * the place of the asterisk. The files are as in libwebsock_tls_options. */
typedef struct libwebsock_tls_host {
    const char *host;
    const char *keyfile;
    const char *certfile;
    const char *chainfile;
} libwebsock_tls_host;

/* What libwebsock_bind_tls is told. Set all of it to 0, then size to
 * sizeof(libwebsock_tls_options), keyfile and certfile. Every string is copied.
 * Files are PEM. */
typedef struct libwebsock_tls_options {
    size_t size;
    const char *keyfile;        /* the private key, not encrypted */
    const char *certfile;       /* the server's certificate, and behind it, in the same file or
                                 * in chainfile, those between it and the root */
    const char *chainfile;      /* NULL: certfile has them, or there are none */
    const char *client_ca_file; /* client certificates are asked for, and must come from one
                                 * of these authorities. NULL: none is asked for */
    int client_certificate_demanded; /* 1: the handshake fails without one. 0: a client may
                                      * have none, and client_subject is "" then */
    int min_version;          /* LIBWEBSOCK_TLS_1_2, also for 0, or LIBWEBSOCK_TLS_1_3 */
    const char *ciphers;      /* of TLS 1.2, as in ciphers(1). NULL: OpenSSL's default */
    const char *ciphersuites; /* of TLS 1.3, as in ciphers(1). NULL: OpenSSL's default */
    const libwebsock_tls_host *hosts; /* host_count of them; a client that asks for none of
                                       * them gets the certificate above */
    size_t host_count;
} libwebsock_tls_options;

/* What the TLS handshake of a client has settled. Read-only; lives as long as
 * the client handle. */
typedef struct libwebsock_tls_info {
    const char *version;        /* "TLSv1.3" or "TLSv1.2" */
    const char *cipher;         /* OpenSSL's name: "TLS_AES_256_GCM_SHA384" */
    const char *server_name;    /* the host the client has asked for (SNI); "" if it did not */
    const char *client_subject; /* of the client's certificate, verified, as RFC 2253 writes
                                 * it: "CN=alice,O=Example"; "" if it has none */
    int resumed;                /* 1: the handshake resumed an earlier session */
} libwebsock_tls_info;

/* One client. Made by the library; the pointer is good inside this client's
 * callbacks, and as long as the user holds a libwebsock_retain of it. */
struct libwebsock_client_state {
    /* Yours. NULL at first; the library never touches it. */
    void *data;

    /* Yours, in this client's callbacks: copied from the context when the
     * connection is accepted; NULL means "nothing". With concurrent_events,
     * set them no later than in onopen. */
    int (*onopen)(libwebsock_client_state *client);
    int (*onmessage)(libwebsock_client_state *client, libwebsock_message *msg);
    int (*onclose)(libwebsock_client_state *client);
    int (*onframetoolarge)(libwebsock_client_state *client, libwebsock_frame *frame);
    int (*onpong)(libwebsock_client_state *client);
    int (*control_callback)(libwebsock_client_state *client, libwebsock_frame *frame);

    /* Read-only, set before the first callback. */
    int sockfd;                        /* to look at: not to read, write or close. No other
                                        * client has this number until onclose has returned */
    const struct sockaddr_storage *sa; /* the peer's address */
    libwebsock_context *ctx;           /* not to be used after libwebsock_free */

    /* Read-only. Never NULL; filled in before onclose is called. */
    const libwebsock_close_info *close_info;

    void *priv; /* the library's */
};

/* A server: its callbacks, its settings, its listeners and its clients. Made by
 * libwebsock_init. Set the fields before libwebsock_wait (or, if that comes
 * first, the first connected socket given to libwebsock_bind_socket), which
 * checks and copies them; later changes have no effect. */
struct libwebsock_context {
    /* Yours. NULL at first; the library never touches it. */
    void *user_data;

    /* Callbacks, on worker threads; see libwebsock_callbacks(3). What they return is
     * ignored so far: return 0. NULL means "nothing". At first they are
     * the default ones, which print a line to stdout for each client that comes
     * or goes and each message. What nobody reads in time is lost, and counted. */

    /* After the opening handshake, before any message of this client. */
    int (*onopen)(libwebsock_client_state *client);
    /* Each complete message. */
    int (*onmessage)(libwebsock_client_state *client, libwebsock_message *msg);
    /* Exactly once for every client that had onopen, after all its other
     * events, unless libwebsock_wait fails with ETIMEDOUT. Sends fail with
     * ENOTCONN by now. */
    int (*onclose)(libwebsock_client_state *client);
    /* A frame announces more payload than max_frame_payload. It may send, and
     * may close with a reason; when it returns, the connection is closed, with
     * 1009 unless the callback closed it otherwise. The default one prints an
     * error and closes the socket at once, without a Close frame. */
    int (*onframetoolarge)(libwebsock_client_state *client, libwebsock_frame *frame);
    /* A Pong frame has come. NULL at first. */
    int (*onpong)(libwebsock_client_state *client);
    /* A Ping, Pong or Close frame has come, and the library has already
     * answered it. NULL at first. */
    int (*control_callback)(libwebsock_client_state *client, libwebsock_frame *frame);

    /* A request has come, of HTTP/1.0 too, and nothing has been answered yet:
     * the place to check Origin, choose a subprotocol or serve a page. Returns 0 to go on
     * (with the upgrade, or with what libwebsock_respond set, or with 426 for
     * plain HTTP), or 400 to 599 to refuse with that status; anything else is
     * refused with 500. handshake_timeout_ms runs on meanwhile. NULL at first:
     * upgrades are accepted, plain HTTP gets 426. See libwebsock_onrequest(3). */
    int (*onrequest)(libwebsock_client_state *client, const libwebsock_request *request);

    /* One line of the log, without a newline, in UTF-8; what could act on a
     * terminal or end a line is escaped as in C, and so are backslashes. On a
     * worker while the server runs, on the calling thread before and after. The
     * default one writes errors, warnings and infos to stderr, where a slow reader
     * holds it up for 10 ms at most; NULL is silence. */
    void (*onlog)(libwebsock_context *ctx, int level, const char *text);

    /* Settings; the values given here are the defaults. One that makes no sense
     * (a negative time or concurrent_events, a handshake or send that may take no
     * time, a limit of 0 where that is not "none", a stack below 64 KiB, more than
     * 16 close_trace_frames, a frame, message or handshake of more than
     * SIZE_MAX / 4, which is 1 GiB on 32 bits) makes libwebsock_wait fail with
     * EINVAL and a logged line that names it. */
    int handshake_timeout_ms; /* 10000: from accept to the 101, TLS included */
    int idle_timeout_ms;      /* 120000: silence until a client is dropped; it is
                               * pinged at half of it. A client that is still taking
                               * bytes sent before the Ping, or whose TCP receive window
                               * grows (its program reads), is not silent. 0: never */
    int send_timeout_ms;      /* 30000: how long a client may take nothing of what waits
                               * for it; then it is dropped. Each byte begins it again */
    int close_timeout_ms;     /* 5000: wait for the peer's Close after ours */
    int drain_timeout_ms;     /* 5000: what libwebsock_stop leaves to clients and callbacks */
    int concurrent_events;    /* 0. 1: up to 16 messages of one client may run at the same
                               * time, each on a worker; those of a burst start at once.
                               * n > 1: up to n. Further ones wait, in order. onopen and
                               * onclose still run alone */
    int handle_signals;       /* 1: SIGINT and SIGTERM stop libwebsock_wait, if their
                               * disposition is the default one, and a second one cuts the
                               * drain short. 0: left alone */
    size_t max_connections;   /* 0: what the system gives. More are refused with 503 */
    size_t max_workers;       /* 0: no limit. Threads that run callbacks */
    size_t max_frame_payload; /* as given to libwebsock_init; 16 MiB if that was 0 */
    size_t max_message_payload;    /* 16 MiB, or what libwebsock_init was given if that is
                                    * larger: all fragments of a message; more fails the
                                    * connection with 1009. It does not grow with
                                    * max_frame_payload when that is set later */
    size_t max_handshake_bytes;    /* 16384: the request line and headers; more gets 431 */
    size_t max_queued_bytes;       /* 4 MiB: per client, memory kept by messages that wait
                                    * for callbacks (then its socket is not read), and bytes
                                    * that wait for it to read (then send_all closes it, 1008) */
    size_t connection_stack_bytes; /* 131072: stack of a connection's thread; what the
                                    * system needs and 24 KiB at least, else EINVAL */

    void *priv; /* the library's */

    size_t close_trace_frames; /* 8: when a connection ends by an error or at a deadline,
                                * its line in the log names this many of its last frames
                                * in each direction (at most 16). 0: none */
    int message_timeout_ms;    /* 300000: from the first byte of a message to its last; a
                                * slower one fails the connection with 1008. 0: for ever */
    size_t max_handshakes;     /* 1000: connections that are not upgraded. One more takes the
                                * place of the one whose handshake has not advanced for the
                                * longest time, which is reset; those that are with onrequest
                                * keep theirs. Keep it below max_connections. 0: no limit */
    size_t worker_stack_bytes; /* 1048576: stack of each thread that runs callbacks, with
                                * all they call; at least as connection_stack_bytes */
};

/* What libwebsock_stats fills in. Set size to sizeof(libwebsock_statistics)
 * first. Counts are since libwebsock_init. */
typedef struct libwebsock_statistics {
    size_t size;                             /* yours */
    unsigned long long connections_open;     /* had onopen, not yet onclose */
    unsigned long long connections_accepted; /* sockets accepted or handed over */
    unsigned long long connections_refused;  /* of those, that did not become clients:
                                              * no room, bad or refused handshake, plain HTTP */
    unsigned long long messages_in;
    unsigned long long messages_out;
    unsigned long long bytes_in; /* HTTP handshakes and frame headers included; with TLS, what
                                  * is inside of it */
    unsigned long long bytes_out;
    unsigned long long events_queued;      /* whose callbacks have not begun yet, now */
    unsigned long long workers;            /* threads that run callbacks, idle ones included */
    unsigned long long workers_busy;       /* of those, in a callback now */
    unsigned long long longest_callback_ms; /* how long the oldest running callback has run */

    /* Why connections were refused; with refused_for_newer, at the end, they are
     * connections_refused. */
    unsigned long long refused_no_room;      /* max_connections or max_handshakes, or no
                                              * thread, memory or descriptor for it */
    unsigned long long refused_tls;          /* no TLS handshake, or one that failed */
    unsigned long long refused_late;         /* handshake_timeout_ms came first */
    unsigned long long refused_request;      /* the request was bad, or no upgrade */
    unsigned long long refused_by_onrequest; /* which returned a status */
    unsigned long long refused_plain_http;   /* onrequest has answered: libwebsock_respond */
    unsigned long long refused_gone;         /* the peer left, or the server stopped, before */

    /* How clients ended, by close_info->code: [n] is 1000 + n, [16] all others. */
    unsigned long long closed[17];
    unsigned long long send_timeouts; /* clients dropped because they did not read */

    unsigned long long refused_for_newer; /* at max_handshakes, they made room for newer ones */
} libwebsock_statistics;

/* --- Contexts: libwebsock_init(3), libwebsock_bind(3), libwebsock_wait(3) --- */

/* Makes a context with default callbacks and settings. base and flags are
 * reserved: NULL. max_frame_payload is the largest payload of one frame, 0 for
 * 16 MiB. Any thread. Returns the context, to be given to libwebsock_free, or
 * NULL: EINVAL base or flags is not NULL; ENOMEM. */
libwebsock_context *libwebsock_init(void *base, void *flags, size_t max_frame_payload);

/* Listens on port of every address that host has, IPv4 and IPv6, which for
 * "localhost" may be two; host NULL or "" is every address of the machine. An address
 * that the machine does not have is left out, unless there is no other; all the
 * rest work, or none. port is a number or a service name, "0" any free port, the
 * same for all addresses. May be called several
 * times, before and during libwebsock_wait. Any thread; blocks while the name is
 * resolved. Returns 0, or -1 and logs host, port and reason: EINVAL ctx or port
 * is NULL, or port is not a valid port; ENOENT host or port does not resolve; EADDRINUSE,
 * EADDRNOTAVAIL, EACCES, EMFILE, ENOMEM as from socket(2), bind(2), listen(2);
 * ESHUTDOWN the context was stopped; EPERM it serves in another process. */
int libwebsock_bind(libwebsock_context *ctx, const char *host, const char *port);

/* The same with TLS: https:// and wss:// on this port. keyfile and certfile are
 * PEM files: the private key and the certificate, behind which certfile may have
 * the rest of its chain; that is what chainfile of libwebsock_bind_ssl_real is
 * for otherwise (NULL: there is none). The files are read and checked before
 * anything is bound; a certificate that has expired is a warning only. Returns 0,
 * or -1 and logs which file and what OpenSSL says of it: errno as of
 * libwebsock_bind; as from open(2), ENOENT or EACCES among them, for a file that
 * cannot be read; EINVAL keyfile or certfile is NULL, or a file is not PEM, a key
 * is encrypted, key and certificate do not match, or a chain does not
 * hold together. libwebsock_bind_ssl(3). */
int libwebsock_bind_ssl(libwebsock_context *ctx, const char *host, const char *port,
                        const char *keyfile, const char *certfile);
int libwebsock_bind_ssl_real(libwebsock_context *ctx, const char *host, const char *port,
                             const char *keyfile, const char *certfile, const char *chainfile);

/* The same with everything there is to choose: client certificates, versions,
 * ciphers, certificates by host name. Returns as libwebsock_bind_ssl; EINVAL
 * also: options is NULL, its size is none it can have, a host or a setting in it
 * makes no sense, or demands certificates without a client_ca_file. */
int libwebsock_bind_tls(libwebsock_context *ctx, const char *host, const char *port,
                        const libwebsock_tls_options *options);

/* Reads the files of every TLS listener again, and if all are good, uses them for
 * connections that are accepted from now on; those there are go on as they are.
 * If one is bad, nothing changes. Any thread; blocks for the files. Returns 0, or -1 and
 * logs the file and why: EINVAL ctx is NULL, no listener has TLS, or a file is bad;
 * as from open(2); ENOMEM; ESHUTDOWN the context was stopped; EPERM it serves in
 * another process. */
int libwebsock_reload_ssl(libwebsock_context *ctx);

/* Takes a socket of the user's. A listening one is accepted on during
 * libwebsock_wait. A connected one, blocking or not, is served as one
 * connection from now on, before, during or without libwebsock_wait. In both
 * cases the library owns fd from then on and closes it; after a failure it is
 * still the caller's. Any thread; does not block. Returns 0, or -1 and logs
 * why: EINVAL ctx is NULL, or fd is no stream socket or neither listening nor
 * connected, or a setting is out of range; EBADF; ENOTSOCK; ENOMEM; EAGAIN no
 * thread can be had, or max_connections or max_handshakes is reached (a
 * connected peer has been sent 503); EMFILE or ENFILE; ESHUTDOWN the context was
 * stopped; EPERM it serves in another process. */
int libwebsock_bind_socket(libwebsock_context *ctx, int fd);

/* The port of the first listener, for "0". Any thread. Returns it, or -1:
 * EINVAL ctx is NULL; ENOTCONN nothing is bound, or it has no port (a Unix
 * socket). */
int libwebsock_port(const libwebsock_context *ctx);

/* Serves until libwebsock_stop, or SIGINT or SIGTERM (handle_signals), then
 * drains: listeners close, clients get 1001, queued events run (but the Close has
 * left, so what they send fails with ENOTCONN), threads are joined; what is left
 * after drain_timeout_ms, or at a second signal, is cut off, and callbacks have
 * another second. One thread at a time.
 * Returns 0; or -1: EINVAL ctx is NULL, nothing is bound or a setting is out of
 * range; EAGAIN or ENOMEM threads or memory are short; EMFILE or ENFILE descriptors
 * are; EBUSY another thread is here; ESHUTDOWN an earlier wait has ended; EPERM the
 * context serves in another process; ETIMEDOUT a callback did not return within
 * that second (the log names its client, and libwebsock_free gives it one more
 * second and will then leave the context to it). */
int libwebsock_wait(libwebsock_context *ctx);

/* Makes libwebsock_wait return, now or when it comes. Does not wait for it. Any
 * thread, callback or signal handler. Calling it again changes nothing. Returns 0,
 * or -1: EINVAL ctx is NULL; EPERM the context serves in another process. */
int libwebsock_stop(libwebsock_context *ctx);

/* Stops and drains, if that has not been done, and frees the context; NULL is
 * allowed. Not from a callback, nor while another thread is in a function of
 * this context. Client handles the user has retained stay valid memory. Does
 * nothing in a child that was forked while the context served. */
void libwebsock_free(libwebsock_context *ctx);

/* Fills in *out, up to the size it says. Any thread. Returns 0, or -1: EINVAL an
 * argument is NULL, or out->size is too small to be one. */
int libwebsock_stats(libwebsock_context *ctx, libwebsock_statistics *out);

/* --- Sending: libwebsock_send_text(3), libwebsock_send_all_text(3) ---
 *
 * Frames of different senders are never interleaved: a whole message sent
 * between the fragments of another one is held back and sent after the last
 * fragment. Small messages sent from inside a callback may leave together, some
 * 2 ms late at most. A send blocks while the peer does not read; once the peer has
 * taken nothing for send_timeout_ms, the connection is dropped.
 * A callback that sends to its own client does not wait for it, also with
 * concurrent_events: what the client does not take within 2 ms is queued. In each
 * callback that is one message of any size, and otherwise up to max_queued_bytes;
 * only a callback that sends more than that waits. While more than 64 KiB of answers
 * are unread, or half of max_queued_bytes if that is less, the client's next
 * callbacks wait until it has read them. Those that take a client return 0, or -1:
 *   EINVAL    an argument is NULL or not allowed
 *   EILSEQ    the text is not valid UTF-8 (RFC 6455 8.1); nothing was sent
 *   ENOTCONN  the connection is closing, closed, or not open yet
 *   ETIMEDOUT the peer does not read, the connection was dropped
 *   ENOBUFS   more than max_queued_bytes wait for another message's last fragment
 *   ENOMEM */

/* Sends text, NUL-terminated, as one text message. RFC 6455 5.6. */
int libwebsock_send_text(libwebsock_client_state *client, const char *text);

/* The same with a length, so that text may hold NUL characters. */
int libwebsock_send_text_with_length(libwebsock_client_state *client, const char *text, size_t len);

/* Sends one binary message; data may be NULL when len is 0. RFC 6455 5.6. */
int libwebsock_send_binary(libwebsock_client_state *client, const void *data, size_t len);

/* Sends one frame. flags is an opcode, with WS_FRAGMENT_FIN on the last frame of
 * a message: the first has WS_OPCODE_TEXT or WS_OPCODE_BINARY, the others
 * WS_OPCODE_CONTINUE (else EINVAL). One message is sent in fragments at a time:
 * beginning a second one fails with EINVAL, while whole messages wait for the
 * last fragment. A character of a text may be cut by a fragment's end, not by
 * the message's. A control opcode with WS_FRAGMENT_FIN and at most 125 bytes
 * sends that control frame. RFC 6455 5.4. */
int libwebsock_send_fragment(libwebsock_client_state *client, const void *data, size_t len,
                             int flags);

/* Sends an empty Ping; onpong tells of the answer. RFC 6455 5.5.2. */
int libwebsock_ping(libwebsock_client_state *client);

/* Sends text, or binary data, to every open client. Never waits for one: what a
 * client cannot take now is queued for it. A client for which nothing is queued
 * takes one message of any size; otherwise one that does not fit into
 * max_queued_bytes closes the client with 1008. Any thread. Returns 0, or -1:
 * EINVAL an argument is NULL; EILSEQ the text is not UTF-8; ENOMEM. */
int libwebsock_send_all_text(libwebsock_context *ctx, const char *text);
int libwebsock_send_all_binary(libwebsock_context *ctx, const void *data, size_t len);

/* --- Closing: libwebsock_close(3) --- */

/* Starts the closing handshake with 1000: a Close frame is sent after what was
 * already sent, the peer has close_timeout_ms to answer, then onclose runs.
 * Does not block. Returns 0, or -1: EINVAL client is NULL; ENOTCONN it is
 * closing or closed; ENOMEM it was cut off instead. RFC 6455 7.1.2. */
int libwebsock_close(libwebsock_client_state *client);

/* The same with a code that may be sent (1000 to 1003, 1007 to 1014, 3000 to
 * 4999; else EINVAL) and a reason, UTF-8 (else EILSEQ), NULL for none. What
 * is longer than 123 bytes is cut after the last whole character. */
int libwebsock_close_with_reason(libwebsock_client_state *client, unsigned short code,
                                 const char *reason);

/* --- Client handles: libwebsock_retain(3) --- */

/* Keeps the handle valid memory, even after onclose and libwebsock_free, until
 * as many calls of libwebsock_release. Sends on it then fail with ENOTCONN.
 * retain returns client; NULL is allowed in both. */
libwebsock_client_state *libwebsock_retain(libwebsock_client_state *client);
void libwebsock_release(libwebsock_client_state *client);

/* The peer's address as text, "127.0.0.1:54321" or "[::1]:54321" or "unix".
 * Lives as long as the handle. NULL: EINVAL client is NULL. */
const char *libwebsock_peer(const libwebsock_client_state *client);

/* The request that opened this connection. NULL: EINVAL client is NULL. */
const libwebsock_request *libwebsock_client_request(const libwebsock_client_state *client);

/* What TLS has settled for this connection; good from onrequest or onopen on.
 * NULL: ENOENT the connection is not TLS; EINVAL client is NULL. */
const libwebsock_tls_info *libwebsock_client_tls(const libwebsock_client_state *client);

/* --- Requests: libwebsock_onrequest(3) ---
 *
 * The last three are for use inside onrequest; elsewhere they fail with EPERM.
 * Of several calls of accept_protocol or respond the last one counts. */

/* The value of a header, name in any case, without white space around it;
 * several of one name are joined with ", ". Any thread; lives as long as the
 * client handle. NULL: ENOENT it was not sent; EINVAL an argument is NULL. */
const char *libwebsock_request_header(const libwebsock_request *request, const char *name);

/* Answers the upgrade with subprotocol name. Returns 0, or -1: EINVAL the client
 * did not offer it, or an argument is NULL; EPERM; ENOMEM. RFC 6455 4.2.2. */
int libwebsock_accept_protocol(libwebsock_client_state *client, const char *name);

/* Adds a header to whatever is answered when onrequest returns: the upgrade, what
 * libwebsock_respond sets, a status, or the 426 for plain HTTP. A header added twice is sent twice; a Content-Type, Date
 * or Retry-After replaces the one that would be sent otherwise. Returns 0, or -1:
 * EINVAL name is no token, value has a control character (CR, LF and NUL among
 * them), or the header is one the library writes itself (Connection, Upgrade,
 * Content-Length, Transfer-Encoding, Sec-WebSocket-*); EPERM; ENOMEM. */
int libwebsock_add_response_header(libwebsock_client_state *client, const char *name,
                                   const char *value);

/* Answers with status (200 to 599), content_type (NULL for none) and a body
 * (copied; NULL when len is 0) instead of an upgrade, and closes the connection
 * after it. If onrequest then returns a status, that one is sent, with this body.
 * HEAD gets no body. Returns 0, or -1: EINVAL; EPERM; ENOMEM. */
int libwebsock_respond(libwebsock_client_state *client, int status, const char *content_type,
                       const void *body, size_t len);

/* --- Sundries --- */

/* Prints frame to stderr, its payload in hexadecimal, as far as that takes it
 * without waiting. Returns 0, or -1: EINVAL frame is NULL; ENOMEM. */
int libwebsock_dump_frame(const libwebsock_frame *frame);

/* The version that was linked, "1.0.0"; LIBWEBSOCK_VERSION_* is the one that was
 * compiled against. Never NULL. */
const char *libwebsock_version_string(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
