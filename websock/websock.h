/* websock.h: the whole public interface of libwebsock, a WebSocket (RFC 6455)
 * server library. C99 and C++; needs only the C library and POSIX sockets.
 * Manual: libwebsock(7), and a page in section 3 for every function.
 *
 * Conventions:
 *  1. Functions are named libwebsock_*. Constants are named WS_* if the protocol
 *     defines them, and LIBWEBSOCK_* if the library does.
 *  2. A function that returns int returns 0, or -1 with errno set. A function that
 *     returns a pointer returns NULL on failure. Nothing here exits, aborts or
 *     raises SIGPIPE, and the library never opens a descriptor numbered 0, 1 or 2.
 *  3. Strings passed to the library are NUL-terminated UTF-8. The library copies
 *     them, so the caller may reuse them on return. Strings that the library
 *     returns belong to it; do not free them. Host names, file names and header
 *     values are plain bytes.
 *  4. The library allocates every struct below except those that begin with their
 *     size, and libwebsock_tls_host. New fields are added at the end, so do not rely
 *     on the size of a struct that the library allocates.
 *  5. Callbacks run on worker threads, never on a thread that accepts or reads, so
 *     they may block. Events of one client run one at a time and in order: onopen
 *     first, onclose last. The library ignores what a callback returns, except
 *     for onrequest. A callback must not throw, longjmp or end its thread.
 *     onsession alone runs on the client's own thread, between onopen and onclose.
 *  6. Any thread may call a function that takes a client while it has a right to
 *     the handle: inside that client's callbacks, or between libwebsock_retain
 *     and libwebsock_release.
 *  7. Times are in milliseconds, sizes in bytes.
 *  8. libwebsock.a (-fPIC) defines these functions and no other names. A shared
 *     object that it is linked into exports them and nothing else of it.
 *  9. A context serves in one process. A child forked before that may serve with
 *     its own copy. A child forked while the context serves may only exec or
 *     _exit; in it, functions that change or use the server fail with EPERM. See
 *     libwebsock(7), Processes.
 */
#ifndef WEBSOCK_WEBSOCK_H
#define WEBSOCK_WEBSOCK_H

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A shared object that libwebsock.a is linked into exports what is declared here, whatever
 * -fvisibility says. */
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

/* In the flags of libwebsock_send_fragment or of a publication: this message is not compressed,
 * even for a client that accepts compression, and no later message refers to it. For secrets: see
 * libwebsock_compression(7). */
#define LIBWEBSOCK_UNCOMPRESSED (1 << 8)

/* Close codes: RFC 6455 7.4.1, and 1012 to 1014 from the registry that RFC 6455 11.7 set up at
 * IANA. 1004, 1005, 1006 and 1015 are never sent. close_info may report 1005 and 1006, but
 * never 1004 or 1015. */
#define WS_CLOSE_NORMAL 1000
#define WS_CLOSE_GOING_AWAY 1001
#define WS_CLOSE_PROTOCOL_ERROR 1002
#define WS_CLOSE_NOT_ALLOWED 1003 /* this type of data is not accepted */
#define WS_CLOSE_RESERVED 1004
#define WS_CLOSE_NO_CODE 1005    /* the peer's Close frame had no code */
#define WS_CLOSE_DIRTY 1006      /* no Close frame was read */
#define WS_CLOSE_WRONG_TYPE 1007 /* such as text that is not UTF-8, or a corrupt compression */
#define WS_CLOSE_POLICY_VIOLATION 1008
#define WS_CLOSE_MESSAGE_TOO_BIG 1009
#define WS_CLOSE_MANDATORY_EXTENSION 1010 /* for clients: the server lacks an extension */
#define WS_CLOSE_UNEXPECTED_ERROR 1011    /* internal error of the server */
#define WS_CLOSE_SERVICE_RESTART 1012
#define WS_CLOSE_TRY_AGAIN_LATER 1013
#define WS_CLOSE_BAD_GATEWAY 1014
#define WS_CLOSE_TLS_HANDSHAKE 1015 /* what a client reports when TLS failed */

/* Levels of onlog, most urgent first. A close, the program's own too, is INFO with the last frames
 * if its code means an error (1002, 1008, 1011 and 1013, for example); 1000, 1001, and 3000 and up
 * are DEBUG. What counts is the code of the client's Close, which is mostly an echo of ours. */
#define LIBWEBSOCK_LOG_ERROR 0   /* the server cannot do what it was told to */
#define LIBWEBSOCK_LOG_WARNING 1 /* a resource ran out, a deadline cut something off */
#define LIBWEBSOCK_LOG_INFO 2    /* one client was refused or failed, and why */
#define LIBWEBSOCK_LOG_DEBUG 3   /* each connection's beginning and end */

typedef struct libwebsock_context libwebsock_context;
typedef struct libwebsock_client_state libwebsock_client_state;

/* A complete message. Valid until the callback returns. The callback may write to payload. */
typedef struct libwebsock_message {
    unsigned int opcode;            /* WS_OPCODE_TEXT (valid UTF-8) or WS_OPCODE_BINARY */
    unsigned long long payload_len; /* bytes, not counting the NUL after them */
    char *payload;                  /* payload[payload_len] is NUL */
} libwebsock_message;

/* Some of a message, as it comes: for onpart and libwebsock_receive_part. Valid until the callback
 * returns, or until the next receive. The program may write to payload. */
typedef struct libwebsock_part {
    unsigned int opcode;       /* WS_OPCODE_TEXT (all of the message is valid UTF-8, a part may end
                                * inside a character) or WS_OPCODE_BINARY */
    unsigned long long offset; /* in the message, of the first byte of payload */
    size_t len;                /* bytes; 0 only if fin is 1 */
    char *payload;             /* not followed by a NUL */
    int fin;                   /* 1: the message ends with this part */
} libwebsock_part;

/* One frame: a control frame in control_callback, or in onframetoolarge the frame that is too
 * large, without its payload. Valid until the callback returns. */
typedef struct libwebsock_frame {
    unsigned int fin;               /* 1 or 0 */
    unsigned int opcode;            /* WS_OPCODE_* */
    unsigned long long payload_len; /* as announced in the frame's header */
    const char *payload;            /* NUL-terminated; NULL in onframetoolarge */
} libwebsock_frame;

/* How a connection ended, RFC 6455 7.1.5 and 7.1.6. code and reason are those of the peer's
 * Close frame; code is WS_CLOSE_NO_CODE if that frame had none. code is WS_CLOSE_DIRTY if no
 * Close frame was read; reason then says why, in the library's words, such as "Connection reset
 * by peer". Once the library has closed because of the peer's error, with 1002, 1007 or 1009
 * for example, it no longer reads a Close frame, and code is always WS_CLOSE_DIRTY. */
typedef struct libwebsock_close_info {
    unsigned short code;
    char reason[124];         /* NUL-terminated UTF-8 */
    int ended_by;             /* LIBWEBSOCK_ENDED_BY_*: who was the first to end it */
    unsigned short sent_code; /* of our Close frame, whether or not it has reached the peer; 0:
                               * there was none; WS_CLOSE_NO_CODE: it had no code */
    char sent_reason[124];    /* NUL-terminated UTF-8 */
} libwebsock_close_info;

#define LIBWEBSOCK_ENDED_BY_PEER 1 /* it sent a Close, closed the socket, or vanished */
#define LIBWEBSOCK_ENDED_BY_PROGRAM                                                                \
    2                                 /* a function that closes was called, or libwebsock_stop;    \
                                       * onsession has returned, or a callback threw */
#define LIBWEBSOCK_ENDED_BY_LIBRARY 3 /* because of the peer's error, a limit, a time-out */

/* The HTTP request that opened a connection. Read-only. Valid as long as the client handle. */
typedef struct libwebsock_request {
    const char *method; /* "GET" */
    const char *path;   /* without the query, percent-encoded as sent: "/chat" */
    const char *query;  /* what follows '?', or "" */
    int is_websocket;   /* 1: a valid request for an upgrade; 0: plain HTTP */
    const void *priv;   /* the library's */
    const void *body; /* never NULL, and followed by a NUL. Empty unless max_request_body is set */
    size_t body_len;  /* bytes, without that NUL */
} libwebsock_request;

/* TLS versions, for min_version. */
#define LIBWEBSOCK_TLS_1_2 0x0303
#define LIBWEBSOCK_TLS_1_3 0x0304

/* Another certificate of a TLS listener, for clients that ask for host (SNI, RFC 6066 3). host
 * is a name, "example.org", or "*.example.org", where the asterisk stands for exactly one
 * label. The files are as in libwebsock_tls_options. */
typedef struct libwebsock_tls_host {
    const char *host;
    const char *keyfile;
    const char *certfile;
    const char *chainfile;
} libwebsock_tls_host;

/* Options of libwebsock_bind_tls. Set the whole struct to 0, then set size to
 * sizeof(libwebsock_tls_options), keyfile and certfile. Strings are copied. Files are PEM. */
typedef struct libwebsock_tls_options {
    size_t size;
    const char *keyfile;             /* the private key, not encrypted */
    const char *certfile;            /* the server's certificate. The certificates between it and
                                      * the root follow in the same file, or are in chainfile */
    const char *chainfile;           /* NULL: they are in certfile, or there are none */
    const char *client_ca_file;      /* the authorities that client certificates must come from.
                                      * NULL: clients are not asked for a certificate */
    int client_certificate_demanded; /* 1: the handshake fails without a client certificate.
                                      * 0: it is optional; client_subject is "" without one */
    int min_version;          /* LIBWEBSOCK_TLS_1_2 (0 means the same) or LIBWEBSOCK_TLS_1_3 */
    const char *ciphers;      /* for TLS 1.2, as in ciphers(1). NULL: OpenSSL's default */
    const char *ciphersuites; /* for TLS 1.3, as in ciphers(1). NULL: OpenSSL's default */
    const libwebsock_tls_host *hosts; /* host_count of them. A client that asks for any other
                                       * host, or none, gets the certificate above */
    size_t host_count;
} libwebsock_tls_options;

/* The result of a client's TLS handshake. Read-only. Valid as long as the client handle. */
typedef struct libwebsock_tls_info {
    const char *version;        /* "TLSv1.3" or "TLSv1.2" */
    const char *cipher;         /* OpenSSL's name: "TLS_AES_256_GCM_SHA384" */
    const char *server_name;    /* the host the client asked for (SNI), or "" */
    const char *client_subject; /* subject of the client's verified certificate, as in
                                 * RFC 2253: "CN=alice,O=Example"; "" if it has none */
    int resumed;                /* 1: the handshake resumed an earlier session */
} libwebsock_tls_info;

/* One client. Allocated by the library. The pointer is valid inside this client's callbacks,
 * and elsewhere between libwebsock_retain and libwebsock_release. */
struct libwebsock_client_state {
    /* Yours. NULL at first; the library never touches it. What onrequest stores here is there
     * in onopen. */
    void *data;

    /* This client's own copy of the context's callbacks, made when the connection is accepted.
     * This client's callbacks may change them, but not ondrain and onmissed; NULL means "do
     * nothing". With concurrent_events, set them in onopen at the latest. */
    int (*onopen)(libwebsock_client_state *client);
    int (*onmessage)(libwebsock_client_state *client, libwebsock_message *msg);
    int (*onclose)(libwebsock_client_state *client);
    int (*onframetoolarge)(libwebsock_client_state *client, libwebsock_frame *frame);
    int (*onpong)(libwebsock_client_state *client);
    int (*control_callback)(libwebsock_client_state *client, libwebsock_frame *frame);

    /* Read-only, set before the first callback. */
    int sockfd;                        /* do not read, write or close it; for options see
                                        * libwebsock_retain(3). No other client gets this
                                        * number before onclose has returned */
    const struct sockaddr_storage *sa; /* the peer's address */
    libwebsock_context *ctx;           /* do not use it after libwebsock_free */

    /* Read-only. Never NULL. Filled in before onclose is called. */
    const libwebsock_close_info *close_info;

    void *priv; /* the library's */

    /* More callbacks, as those above. */
    int (*ondrain)(libwebsock_client_state *client);
    int (*onmissed)(libwebsock_client_state *client, const char *topic,
                    unsigned long long messages);

    /* The context's at first. Set them in onrequest; onopen may still set onpart, and may replace
     * onsession or set it to NULL, but comes too late to make a session for a client that has none.
     * See the context's. */
    int (*onpart)(libwebsock_client_state *client, libwebsock_part *part);
    int (*onsession)(libwebsock_client_state *client);
};

/* A message for everybody who has subscribed to a topic. Set the whole struct to 0, then set size
 * to sizeof(libwebsock_publication), topic and payload. libwebsock_publish copies all of it. What
 * onpublished gets is valid until the callback returns. */
typedef struct libwebsock_publication {
    size_t size;
    const char *topic;   /* 1 to 255 bytes of UTF-8 */
    unsigned int opcode; /* WS_OPCODE_TEXT (0 means the same) or WS_OPCODE_BINARY */
    const void *payload; /* of onpublished: followed by a NUL */
    size_t payload_len;
    const char *id;  /* at most 63 bytes, or NULL: what after_id of a subscription names. Of
                      * several messages with one id it means the newest. Clients get only
                      * the payload: put the id there, too */
    const char *key; /* at most 63 bytes, or NULL: this message replaces the one that has the
                      * same key, for every subscriber that has not got that yet. Nobody is
                      * told; onmissed does not count it */
    libwebsock_client_state *publisher; /* the client it comes from, for no_echo, or NULL; of
                                         * onpublished: always NULL */
    int flags;                          /* 0, or LIBWEBSOCK_UNCOMPRESSED */
} libwebsock_publication;

/* A server: its callbacks, settings, listeners and clients. Made by libwebsock_init. Set the
 * fields before libwebsock_wait, which checks and copies them; later changes have no effect. If
 * you pass a connected socket to libwebsock_bind_socket before libwebsock_wait, set them before
 * the first such call. */
struct libwebsock_context {
    /* Yours. NULL at first; the library never touches it. */
    void *user_data;

    /* Callbacks. They run on worker threads; see libwebsock_callbacks(3). What they return is
     * ignored, now and in later versions, except for onrequest. NULL means "do nothing". The
     * default ones print a line to stdout for each client that comes or goes and for each
     * message. A line that nobody reads in time is lost, and counted. */

    /* The opening handshake is done. Runs before any message of this client. */
    int (*onopen)(libwebsock_client_state *client);
    /* A complete message has arrived. */
    int (*onmessage)(libwebsock_client_state *client, libwebsock_message *msg);
    /* The connection has ended. Runs exactly once for each client that had onopen, after all
     * its other events. (If libwebsock_wait failed with ETIMEDOUT, it runs when the stuck
     * callback returns, if ever.) Sends fail with ENOTCONN by now. */
    int (*onclose)(libwebsock_client_state *client);
    /* A frame announces more payload than max_frame_payload. The callback may send, and may
     * close with a code and reason of its own. When it returns, the library closes with 1009 if
     * it has not. NULL: the client gets that 1009. The default callback prints an
     * error and closes the socket at once, without a Close frame: the client sees 1006. */
    int (*onframetoolarge)(libwebsock_client_state *client, libwebsock_frame *frame);
    /* A Pong frame has arrived. NULL by default. */
    int (*onpong)(libwebsock_client_state *client);
    /* A Ping, Pong or Close frame has arrived. The library has already answered it. NULL by
     * default. */
    int (*control_callback)(libwebsock_client_state *client, libwebsock_frame *frame);

    /* An HTTP request has arrived (HTTP/1.1 or 1.0) and has not been answered yet. Check Origin
     * here, choose a subprotocol, or serve a page. What it returns counts: 0 goes on, with what
     * libwebsock_respond set if it was called, or else with the upgrade, or with 426 for plain
     * HTTP. 400 to 599 refuses with that status. Any other value refuses with 500.
     * handshake_timeout_ms keeps running meanwhile. NULL by default: upgrades are accepted,
     * plain HTTP gets 426. See libwebsock_onrequest(3). */
    int (*onrequest)(libwebsock_client_state *client, const libwebsock_request *request);

    /* One line of the log, in UTF-8, without a newline. Backslashes, and anything that could
     * control a terminal or end the line, are escaped as in C. Runs on a worker while the
     * server runs, and on the calling thread before and after. The default callback writes
     * errors, warnings and infos to stderr; a slow reader there delays it by 10 ms at most.
     * NULL: no log. */
    void (*onlog)(libwebsock_context *ctx, int level, const char *text);

    /* Settings. Each comment begins with the default. libwebsock_wait fails with EINVAL, and
     * logs the name of the setting, if one is out of range: a time or concurrent_events is
     * negative; handshake_timeout_ms, send_timeout_ms, max_queued_bytes, max_topics,
     * max_subscriptions_per_client or max_topic_bytes is 0; max_frame_payload,
     * max_message_payload or max_handshake_bytes is 0 or more than SIZE_MAX / 4 (1 GiB on 32
     * bits); a stack is below 64 KiB; close_trace_frames is over 16; send_buffer_bytes is over
     * 1 GiB; compression is neither 0 nor 1, compression_level not from 1 to 9,
     * compression_window_bits not from 8 to 15, or compression_history over 32768. */
    int handshake_timeout_ms;      /* 10000: from accept to the 101, including TLS */
    int idle_timeout_ms;           /* 120000: how long a client may be silent before it is dropped.
                                    * It is pinged after half of that. A client is not silent while
                                    * it takes bytes sent before the Ping, or while its TCP receive
                                    * window grows (its program reads). 0: never */
    int send_timeout_ms;           /* 30000: how long a client may go without taking a byte of what
                                    * waits for it; then it is dropped. Each byte restarts it */
    int close_timeout_ms;          /* 5000: how long to wait for the peer's Close after ours */
    int drain_timeout_ms;          /* 5000: how long a stop waits for clients and callbacks */
    int concurrent_events;         /* 0. 1: up to 16 messages of one client may run at the same
                                    * time, each on its own worker; n > 1: up to n. A burst starts
                                    * them at once; the rest wait, in order. onopen and onclose
                                    * still run alone */
    int handle_signals;            /* 1: SIGINT and SIGTERM stop libwebsock_wait, if their
                                    * disposition is the default, and a second one cuts the drain
                                    * short. 0: the library leaves signals alone */
    size_t max_connections;        /* 0: as many as the system allows. Any more get 503 */
    size_t max_workers;            /* 0: no limit. Threads that run callbacks */
    size_t max_frame_payload;      /* what libwebsock_init was given; 16 MiB if that was 0. As the
                                    * frame comes: a compressed message may be longer than this */
    size_t max_message_payload;    /* 16 MiB, or what libwebsock_init was given if that is
                                    * larger. All fragments of a message together, once they are
                                    * inflated; more fails the connection with 1009. Does not
                                    * follow max_frame_payload if you set that later */
    size_t max_handshake_bytes;    /* 16384: request line and headers; more gets 431 */
    size_t max_queued_bytes;       /* 4 MiB, per client, in each direction. In: memory held by
                                    * messages that wait for callbacks; at the limit the socket
                                    * is not read. Out: bytes that wait for the client to read;
                                    * past the limit send_all closes it with 1008 */
    size_t connection_stack_bytes; /* 131072: stack of a connection's thread; at least what
                                    * the system needs and 24 KiB, else EINVAL. onsession
                                    * has all but 32 KiB of it */

    void *priv; /* the library's */

    size_t close_trace_frames; /* 8: when a connection ends by an error or at a deadline, its
                                * log line lists this many of its last frames in each
                                * direction. 0: none */
    int message_timeout_ms;    /* 300000: from the first byte of a message to its last; a
                                * slower one fails the connection with 1008. 0: no limit */
    size_t max_handshakes;     /* 1000: connections that are not upgraded yet. A new one beyond
                                * that takes the place of the one whose handshake has not
                                * advanced for longest, which is reset; one that is in
                                * onrequest keeps its place. Keep it below max_connections.
                                * 0: no limit */
    size_t worker_stack_bytes; /* 1048576: stack of each thread that runs callbacks, for all
                                * they call; same minimum as connection_stack_bytes */

    /* More callbacks, all NULL by default. */

    /* What was queued for the client has left, after libwebsock_queue_text or _binary has failed
     * with ENOBUFS. Runs among the client's events. */
    int (*ondrain)(libwebsock_client_state *client);
    /* This many messages of a topic have left its log before the client could get them. The client
     * goes on with the oldest one in the log: see when_behind. Runs among the client's events, and
     * may come later than the messages that follow. topic is valid until the callback returns. */
    int (*onmissed)(libwebsock_client_state *client, const char *topic,
                    unsigned long long messages);
    /* A message has entered the log of a topic: for programs that store or forward all of them.
     * Runs on one worker at a time, during libwebsock_wait; the messages of a topic come in their
     * order. While more than 16 MiB of messages wait for it, libwebsock_publish fails with
     * ENOBUFS. What still waits when a drain ends may be lost. */
    void (*onpublished)(libwebsock_context *ctx, const libwebsock_publication *publication);

    /* More settings. */
    size_t max_topics;                   /* 10000. At the limit, a new topic takes the place of one
                                          * that has no subscribers */
    size_t max_subscriptions_per_client; /* 1000 */
    size_t max_topic_bytes;              /* 64 MiB: memory of all topics' logs. At the limit, topics
                                          * without subscribers go first, then the oldest messages
                                          * of the topic that is published to */
    size_t send_buffer_bytes;            /* 0: the system decides, and 8192 once a client has
                                          * subscribed to a topic. How many bytes the system may
                                          * hold that it cannot send to a client yet, at most
                                          * 1 GiB. Fewer mean that a slow client gets less that
                                          * is out of date, and more wake-ups of the server */

    /* Compression of messages in both directions, permessage-deflate (RFC 7692), with clients that
     * offer it: libwebsock_compression(7). */
    int compression;              /* 0: off. 1: on */
    int compression_level;        /* 3. From 1, fastest, to 9, smallest, as in zlib */
    size_t compression_threshold; /* 0. Messages of fewer bytes are sent as they are, unless they
                                   * are sent in fragments. 0 means 64 for a client with a
                                   * history; 256 for one without, and for what many get, as that
                                   * refers to nothing earlier */
    size_t compression_history;   /* 2048. So many bytes of what was sent last are kept for each
                                   * client, and its next message refers to them. 0: each message
                                   * stands for itself. At most 32768 */
    int compression_window_bits;  /* 10. From 8 to 15. A client that lets us choose is asked to
                                   * refer back by 2^n bytes at most, as we must keep that many
                                   * for it. Others refer back by up to 32 KiB. Some clients give
                                   * up if they are asked for 8 */

    /* Large messages, and the blocking style. Both are NULL by default. */

    /* A part of a message has come: libwebsock_onpart(3). If this is set, messages come in parts,
     * in order, each as soon as it is there, and onmessage is not called. max_frame_payload and
     * max_message_payload do not apply; message_timeout_ms is how long a message may make no
     * progress. When a message is cut off, onclose alone tells. Also for one client: onrequest and
     * onopen may set it, or set it to NULL. What comes before an onopen that is the first to set it
     * has returned still comes whole, as one part, and within those limits. */
    int (*onpart)(libwebsock_client_state *client, libwebsock_part *part);
    /* Serves a client in the blocking style: libwebsock_receive(3). Runs after onopen, on the
     * connection's own thread, with a stack of connection_stack_bytes; asks for messages with
     * libwebsock_receive, so onmessage and onpart are not called. When it returns, the connection
     * is closed with 1000, and onclose runs. Also for one client: onrequest may set it, and onopen
     * may change it. */
    int (*onsession)(libwebsock_client_state *client);

    /* Requests of plain HTTP that have a body: libwebsock_onrequest(3). */
    size_t max_request_body; /* 0: they are refused with 413. Bytes of a body, with a length or in
                              * chunks, that onrequest gets; more is refused with 413. Without
                              * onrequest all are refused. Comes within handshake_timeout_ms. At
                              * most SIZE_MAX / 4 */
};

/* Filled in by libwebsock_stats. Set the whole struct to 0, then size to
 * sizeof(libwebsock_statistics): a library that is older than this header leaves the fields that it
 * does not know as they were. Unless a comment says "now", counts start at libwebsock_init. */
typedef struct libwebsock_statistics {
    size_t size;                             /* set by you */
    unsigned long long connections_open;     /* had onopen but not onclose, now */
    unsigned long long connections_accepted; /* sockets accepted or passed in */
    unsigned long long connections_refused;  /* those that did not become clients: no
                                              * room, bad or refused handshake, plain HTTP */
    unsigned long long messages_in;
    unsigned long long messages_out;
    unsigned long long bytes_in; /* with handshakes and frame headers; with TLS, the plaintext */
    unsigned long long bytes_out;
    unsigned long long events_queued;       /* their callbacks have not begun, now */
    unsigned long long workers;             /* threads that run callbacks, also idle ones, now */
    unsigned long long workers_busy;        /* those that are in a callback, now */
    unsigned long long longest_callback_ms; /* how long the oldest running callback has run, now */

    /* Why connections were refused. These and refused_for_newer, at the end, add up to
     * connections_refused. */
    unsigned long long refused_no_room;      /* max_connections or max_handshakes reached,
                                              * or no thread, memory or descriptor left */
    unsigned long long refused_tls;          /* no TLS handshake, or it failed */
    unsigned long long refused_late;         /* handshake_timeout_ms ran out, after TLS */
    unsigned long long refused_request;      /* bad request, or no upgrade */
    unsigned long long refused_by_onrequest; /* it returned a status */
    unsigned long long refused_plain_http;   /* answered with libwebsock_respond */
    unsigned long long refused_gone;         /* the peer left or the server stopped first */

    /* How clients ended, by close_info->code: [n] counts 1000 + n, [16] all others. */
    unsigned long long closed[17];
    unsigned long long send_timeouts; /* clients dropped because they did not read */

    unsigned long long refused_for_newer; /* at max_handshakes, made room for newer ones */

    /* Topics: libwebsock_topics(7). */
    unsigned long long topics;          /* now */
    unsigned long long topic_bytes;     /* memory of them and their logs, now */
    unsigned long long publications;    /* messages that entered a log */
    unsigned long long deliveries;      /* messages that were written to a subscriber */
    unsigned long long replaced;        /* messages replaced by a newer one with the same key */
    unsigned long long missed;          /* messages that left a log before a subscriber got them */
    unsigned long long closed_behind;   /* subscribers closed with 1013 because of that */
    unsigned long long blocked_writers; /* clients that have more to get than they read, now */

    /* Compression: libwebsock_compression(7). Deflated is what was sent compressed, inflated what
     * came compressed. Bytes are payload. What many get counts for each of them, but its time
     * once. */
    unsigned long long connections_compressed; /* now */
    unsigned long long deflated_messages;
    unsigned long long deflated_bytes_before;
    unsigned long long deflated_bytes_after;
    unsigned long long uncompressed_messages; /* to the same clients, sent as they are: too short,
                                               * or they did not get smaller, or must not be */
    unsigned long long deflations; /* compressions. What many get needs one, and counts for each
                                    * client above; one that was in vain counts here alone. Each
                                    * fragment of a message needs one */
    unsigned long long deflate_microseconds; /* of real time, for all of these */
    unsigned long long inflated_messages;
    unsigned long long inflated_bytes_before;
    unsigned long long inflated_bytes_after;
    unsigned long long inflate_microseconds;
    unsigned long long compression_states;      /* zlib's, in use or kept for the next, now */
    unsigned long long compression_state_bytes; /* memory of these, now */
} libwebsock_statistics;

/* Filled in by libwebsock_client_compression. Set the whole struct to 0, then size to
 * sizeof(libwebsock_compression_info): see libwebsock_statistics. Payload bytes. */
typedef struct libwebsock_compression_info {
    size_t size;                 /* set by you */
    int server_window_bits;      /* 8 to 15. Messages to the client refer back by 2^n bytes at
                                  * most */
    int client_window_bits;      /* the same for messages from the client */
    int server_context_takeover; /* 1: messages to the client may refer to earlier ones. 0: not */
    int client_context_takeover; /* the same for messages from the client */
    unsigned long long messages_in;               /* that came compressed */
    unsigned long long bytes_in_before;           /* as they came */
    unsigned long long bytes_in_after;            /* inflated */
    unsigned long long messages_out;              /* that were sent compressed */
    unsigned long long bytes_out_before;          /* as you sent them */
    unsigned long long bytes_out_after;           /* compressed */
    unsigned long long messages_out_uncompressed; /* that were sent as they are */
    size_t memory;                                /* held for this client between messages, now */
} libwebsock_compression_info;

/* --- Contexts: libwebsock_init(3), libwebsock_bind(3), libwebsock_wait(3) --- */

/* Makes a context with default callbacks and settings. base and flags are reserved and must be
 * NULL. max_frame_payload is the largest payload of one frame; 0 means 16 MiB. Any thread.
 * Returns the context, which libwebsock_free frees, or NULL: EINVAL base or flags is not NULL;
 * ENOMEM. */
libwebsock_context *libwebsock_init(void *base, void *flags, size_t max_frame_payload);

/* Listens on port at every address of host, IPv4 and IPv6: "localhost" may have two. host NULL
 * or "" means every address of this machine. An address that the machine does not have is
 * skipped, unless there is no other; all the rest must work, or the call fails and nothing is
 * bound. port is a number or a service name; "0" picks a free port, the same for all addresses.
 * May be called several times, before and during libwebsock_wait. Any thread; blocks while the
 * name is resolved. Returns 0, or -1 and logs host, port and reason: EINVAL ctx or port is
 * NULL, or port is not valid; ENOENT host or port does not resolve; EADDRINUSE, EADDRNOTAVAIL,
 * EACCES, EMFILE, ENOMEM as from socket(2), bind(2), listen(2); ESHUTDOWN the context was
 * stopped; EPERM it serves in another process. */
int libwebsock_bind(libwebsock_context *ctx, const char *host, const char *port);

/* The same with TLS: https:// and wss:// on this port. keyfile and certfile are PEM files: the
 * private key, and the certificate followed by the rest of its chain. If the rest is in a file
 * of its own, libwebsock_bind_ssl_real takes that as chainfile (NULL: none). The files are read
 * and checked before anything is bound; a certificate that has expired only gets a warning.
 * Returns 0, or -1 and logs the file and OpenSSL's reason: errno as for libwebsock_bind; as
 * from open(2), such as ENOENT or EACCES, a file cannot be read; EINVAL keyfile or certfile is
 * NULL, a file is not PEM, a key is encrypted, key and certificate do not match, or the chain
 * does not fit together. libwebsock_bind_ssl(3). */
int libwebsock_bind_ssl(libwebsock_context *ctx, const char *host, const char *port,
                        const char *keyfile, const char *certfile);
int libwebsock_bind_ssl_real(libwebsock_context *ctx, const char *host, const char *port,
                             const char *keyfile, const char *certfile, const char *chainfile);

/* The same with all options: client certificates, versions, ciphers, certificates by host name.
 * Returns as libwebsock_bind_ssl does; also EINVAL: options is NULL, its size is not that of
 * any version of the struct, a host or an option is not valid, or client certificates are
 * demanded without a client_ca_file. libwebsock_bind_tls(3). */
int libwebsock_bind_tls(libwebsock_context *ctx, const char *host, const char *port,
                        const libwebsock_tls_options *options);

/* Reads the files of every TLS listener again. If all are good, connections accepted from now
 * on use them; existing ones are not affected. If one is bad, nothing changes. Any thread;
 * blocks while files are read. Returns 0, or -1 and logs the file and the reason: EINVAL ctx is
 * NULL, no listener has TLS, or a file is bad; as from open(2); ENOMEM; ESHUTDOWN the context
 * was stopped; EPERM it serves in another process. */
int libwebsock_reload_ssl(libwebsock_context *ctx);

/* Takes over a socket of yours. On a listening one the library accepts during libwebsock_wait.
 * A connected one, blocking or not, is served as one connection from now on, whether before,
 * during or without libwebsock_wait. On success the library owns fd and closes it; after a
 * failure fd is still yours. Any thread; does not block. Returns 0, or -1 and logs the reason:
 * EINVAL ctx is NULL, fd is not a stream socket or neither listens nor is connected, or a
 * setting is out of range; EBADF; ENOTSOCK; ENOMEM; EAGAIN no thread is available, or
 * max_connections or max_handshakes is reached (a connected peer has been sent 503); EMFILE or
 * ENFILE; ESHUTDOWN the context was stopped; EPERM it serves in another process. */
int libwebsock_bind_socket(libwebsock_context *ctx, int fd);

/* The port of the first listener, for a bind to "0". Any thread. Returns it, or -1: EINVAL ctx
 * is NULL; ENOTCONN nothing is bound, or the listener has no port (a Unix socket); EPERM the
 * context serves in another process. */
int libwebsock_port(const libwebsock_context *ctx);

/* Serves until libwebsock_stop, or until SIGINT or SIGTERM (handle_signals). Then it drains:
 * listeners close, clients get 1001, queued events still run (but the Close has been sent, so
 * their sends fail with ENOTCONN), and threads are joined. Whatever is left after
 * drain_timeout_ms, or at a second signal, is cut off; callbacks that still run then have one
 * more second. One thread at a time. Returns 0, or -1: EINVAL ctx is NULL, nothing is bound, or
 * a setting is out of range; EAGAIN or ENOMEM too few threads or too little memory; EMFILE or
 * ENFILE too few descriptors; EBUSY another thread is in this function; ESHUTDOWN an earlier
 * wait has ended; EPERM the context serves in another process; ETIMEDOUT a callback did not
 * return within that second; the log names its client. Call libwebsock_free all the same. */
int libwebsock_wait(libwebsock_context *ctx);

/* Makes libwebsock_wait return, now or as soon as it is called. Does not wait for that. Any
 * thread, callback or signal handler. Calling it again changes nothing. Returns 0, or -1:
 * EINVAL ctx is NULL; EPERM the context serves in another process. */
int libwebsock_stop(libwebsock_context *ctx);

/* Stops and drains as libwebsock_wait does, if that has not been done yet, and frees the
 * context. If a callback does not return in time, the context is never freed, because the
 * callback may still use it. After libwebsock_wait has failed with ETIMEDOUT, that time is one
 * more second, not the whole drain again. Either way, do not use the context afterwards.
 * Retained client handles stay valid memory. NULL is allowed. Not from a callback, nor while
 * another thread is in a function of this context. Does nothing in a child that was forked
 * while the context served. */
void libwebsock_free(libwebsock_context *ctx);

/* Fills in *out, as many fields as out->size has room for. Any thread. Returns 0, or -1: EINVAL an
 * argument is NULL, or out->size is less than sizeof out->size; EPERM the context serves in another
 * process. */
int libwebsock_stats(libwebsock_context *ctx, libwebsock_statistics *out);

/* --- Sending: libwebsock_send_text(3), libwebsock_send_all_text(3) ---
 *
 * Frames of different senders are never interleaved: a whole message sent between the
 * fragments of another one is held back until after the last fragment. Small messages
 * sent in a callback may be gathered and leave together, about 2 ms late at most.
 *
 * A send blocks while the peer does not read. This is the back-pressure: the sender is
 * slowed down to what the client reads, and nothing piles up. A peer that has taken
 * nothing for send_timeout_ms is dropped.
 *
 * A callback that sends to its own client does not block, even with concurrent_events:
 * what the client does not take within 2 ms is queued. Each callback may queue one
 * message of any size, and otherwise up to max_queued_bytes; only a callback that sends
 * more than that blocks. The back-pressure follows later: while more than 64 KiB of
 * answers are unread (or half of max_queued_bytes if that is less), the client's next
 * callbacks wait until it has read them.
 *
 * Functions that take a client return 0, or -1:
 *   EINVAL    an argument is NULL or not allowed
 *   EILSEQ    the text is not valid UTF-8 (RFC 6455 8.1); nothing was sent
 *   ENOTCONN  the connection is closing, closed, or not open yet
 *   ETIMEDOUT the peer does not read; the connection was dropped
 *   ENOBUFS   more than max_queued_bytes wait for another message's last fragment
 *   ENOMEM */

/* Sends text, NUL-terminated, as one text message. RFC 6455 5.6. */
int libwebsock_send_text(libwebsock_client_state *client, const char *text);

/* The same with a length, so text may contain NUL characters. */
int libwebsock_send_text_with_length(libwebsock_client_state *client, const char *text, size_t len);

/* Sends one binary message; data may be NULL when len is 0. RFC 6455 5.6. */
int libwebsock_send_binary(libwebsock_client_state *client, const void *data, size_t len);

/* Sends one frame. flags is an opcode. The first frame of a message has WS_OPCODE_TEXT or
 * WS_OPCODE_BINARY, the others have WS_OPCODE_CONTINUE, and the last one also has
 * WS_FRAGMENT_FIN (else EINVAL). Only one message can be sent in fragments at a time: to begin
 * a second one fails with EINVAL, while whole messages wait for the last fragment. A fragment
 * may end in the middle of a character of text; the message may not. The first fragment decides
 * whether the message is compressed: it is not if flags has LIBWEBSOCK_UNCOMPRESSED, or if the
 * fragment looks random; its length does not matter, unless it is the whole message. A control
 * opcode with WS_FRAGMENT_FIN and at most 125 bytes sends that control frame. RFC 6455 5.4. */
int libwebsock_send_fragment(libwebsock_client_state *client, const void *data, size_t len,
                             int flags);

/* Sends len bytes of a file, from offset on, as one message: in frames of 64 KiB, read as they
 * leave. opcode is WS_OPCODE_TEXT or WS_OPCODE_BINARY; with | LIBWEBSOCK_UNCOMPRESSED the message
 * is not compressed. Blocks like a send. Messages that others send meanwhile wait for the end of it
 * (up to max_queued_bytes; libwebsock_send_all_* and topics close a client that has no room for
 * more, as ever); control frames do not wait. fd stays yours; its position does not change. Also
 * fails with EBUSY: another message is being sent in fragments, and this one has more than 64 KiB;
 * ERANGE: the file has fewer bytes; ESPIPE, EBADF, EISDIR and the like: it cannot be read at an
 * offset. Up to here, nothing was sent, nor if what fails is the first 64 KiB. If reading fails
 * later (EIO), or text is not UTF-8 (EILSEQ), the connection is closed with 1011: the message
 * cannot be finished. libwebsock_send_file(3). */
int libwebsock_send_file(libwebsock_client_state *client, unsigned int opcode, int fd,
                         unsigned long long offset, unsigned long long len);

/* Sends an empty Ping; its answer calls onpong. RFC 6455 5.5.2. */
int libwebsock_ping(libwebsock_client_state *client);

/* Sends text, or binary data, to every open client. Never waits: what a client cannot take now
 * is queued for it. A client for which nothing is queued takes one message of any size.
 * Otherwise a message that does not fit into max_queued_bytes closes that client with 1008. Any
 * thread. Returns 0, or -1: EINVAL an argument is NULL; EILSEQ the text is not UTF-8; ENOMEM;
 * EPERM the context serves in another process. */
int libwebsock_send_all_text(libwebsock_context *ctx, const char *text);
int libwebsock_send_all_binary(libwebsock_context *ctx, const void *data, size_t len);

/* --- Sending without waiting: libwebsock_queue_text(3) ---
 *
 * The message is sent, or queued for a client that does not read; the caller never waits.
 * These return 0, or -1 as the functions above, and ENOBUFS: more than max_queued_bytes would
 * wait for the client. Then nothing was sent, the connection goes on, and ondrain is called
 * once when what waits has left. While nothing waits, a message of any size is taken. There is no
 * flag against compression; for secrets see libwebsock_compression(7). */
int libwebsock_queue_text(libwebsock_client_state *client, const char *text, size_t len);
int libwebsock_queue_binary(libwebsock_client_state *client, const void *data, size_t len);

/* How many bytes wait for the client to read, not counting what the system holds. 0 once the
 * connection has ended, or if client is NULL. Any thread. */
size_t libwebsock_queued_bytes(const libwebsock_client_state *client);

/* --- Topics: libwebsock_subscribe(3), libwebsock_publish(3), libwebsock_topics(7) ---
 *
 * A topic is a bounded log of messages, and a subscriber a cursor in it. All subscribers get
 * the messages of a topic in one order, each at most once, and without a gap unless onmissed or
 * a close with 1013 says so. Different topics have no order among each other. What is sent to one
 * client leaves before messages of topics do, so what is sent before libwebsock_subscribe comes
 * first. Publishing never waits for a subscriber. Any thread may call these functions, in
 * callbacks and elsewhere. They return 0, or -1 with errno, and log nothing. Those that take the
 * context fail with EPERM if it serves in another process. */

#define LIBWEBSOCK_BEHIND_CLOSE 0 /* close with 1013 */
#define LIBWEBSOCK_BEHIND_SKIP 1  /* go on with the oldest message there is; see onmissed */

/* What topics keep. Set the whole struct to 0, then size to sizeof(libwebsock_topic_options). */
typedef struct libwebsock_topic_options {
    size_t size;
    size_t history_messages; /* kept in the log: more than the longest burst, as publishing does
                              * not wait. 0: 256 */
    size_t history_bytes;    /* of memory; the newest message is always kept. 0: 1 MiB */
    int history_ms;          /* how long. 0: no limit */
    int when_behind;         /* what becomes of a subscriber that needs a message which has left
                              * the log: LIBWEBSOCK_BEHIND_CLOSE (0) or LIBWEBSOCK_BEHIND_SKIP */
} libwebsock_topic_options;

/* Sets the options of all topics whose names begin with prefix, "" being all of them; the longest
 * prefix counts. Before or during libwebsock_wait. EINVAL: an argument is NULL, size is unknown, a
 * value is out of range, or prefix is longer than 255 bytes; ENOMEM; ESHUTDOWN the context was
 * stopped. */
int libwebsock_configure_topics(libwebsock_context *ctx, const char *prefix,
                                const libwebsock_topic_options *options);

/* How a subscription begins. Set the whole struct to 0, then size to
 * sizeof(libwebsock_subscription). */
typedef struct libwebsock_subscription {
    size_t size;
    size_t history;       /* how many of the newest messages in the log come first; SIZE_MAX, from
                           * stdint.h: all */
    const char *after_id; /* instead of that, all after the message with this id. ENOENT if it is
                           * not in the log: it has left, was replaced by its key, or never was.
                           * NULL: history counts */
    int no_echo;          /* 1: without the messages whose publisher is this client */
} libwebsock_subscription;

/* The client gets the messages of a topic from now on, or from where subscription says (NULL: from
 * now on). It ends with the connection, before onclose. EEXIST: it is subscribed already;
 * ENOENT: see after_id; ENOBUFS: max_subscriptions_per_client or max_topics is reached; ENOTCONN:
 * the connection is closing, closed or not open yet; EINVAL: an argument is NULL, size is
 * unknown, or topic is not 1 to 255 bytes of UTF-8; ENOMEM. With a backplane, it waits if the
 * client is the first one of the topic on this server, or the message of after_id is not here yet;
 * EAGAIN: the log has not come in time, for Redis is away or full; or what the backplane fails
 * with. */
int libwebsock_subscribe(libwebsock_client_state *client, const char *topic,
                         const libwebsock_subscription *subscription);

/* Ends a subscription, or all of them (topic is NULL; there need not be any). When it has
 * returned, no message of the topic is sent to the client any more, except for the rest of one
 * that has begun to leave. ENOENT: it was not subscribed; EINVAL. */
int libwebsock_unsubscribe(libwebsock_client_state *client, const char *topic);

/* Adds a message to a topic's log, for all who have subscribed or will. EINVAL: an argument is
 * NULL, or has a size, opcode or length that is not allowed; EILSEQ: text that is not UTF-8;
 * ENOBUFS: max_topics or max_topic_bytes is reached, or 16 MiB wait for onpublished; ENOMEM;
 * ESHUTDOWN the context was stopped. After a failure the message is in no log. With a backplane, 0
 * means that the message waits to be sent; EAGAIN: too much waits already; or what else the
 * backplane fails with. */
int libwebsock_publish(libwebsock_context *ctx, const libwebsock_publication *publication);
int libwebsock_publish_text(libwebsock_context *ctx, const char *topic, const char *text);
int libwebsock_publish_binary(libwebsock_context *ctx, const char *topic, const void *data,
                              size_t len);

/* How many clients have subscribed to a topic. 0 if nobody has, or an argument is NULL. */
size_t libwebsock_topic_subscribers(libwebsock_context *ctx, const char *topic);

/* Filled in by libwebsock_topic_stats. Set size to sizeof(libwebsock_topic_statistics) first. */
typedef struct libwebsock_topic_statistics {
    size_t size;
    unsigned long long epoch;    /* of this log: another one if the topic was dropped meanwhile */
    unsigned long long offset;   /* of the newest message; the first one has 1. 0: there was none */
    unsigned long long messages; /* in the log */
    unsigned long long bytes;    /* of memory */
    unsigned long long subscribers;
    unsigned long long furthest_behind; /* how many offsets the slowest subscriber is behind the
                                         * newest message */
} libwebsock_topic_statistics;

/* ENOENT: there is no such topic; EINVAL: an argument is NULL, or out->size is less than
 * sizeof out->size. */
int libwebsock_topic_stats(libwebsock_context *ctx, const char *topic,
                           libwebsock_topic_statistics *out);

/* --- Other machines: libwebsock_use_backplane(3) ---
 *
 * A backplane keeps the logs of topics for several servers, so that all of them have the same
 * topics, each in one order. To write one, fill in these functions and call libwebsock_deliver. */

/* Set the whole struct to 0, then size to sizeof(libwebsock_backplane). */
typedef struct libwebsock_backplane {
    size_t size;
    void *data;     /* handed to each function */
    int timeout_ms; /* how long libwebsock_subscribe waits for a topic that is new to this
                     * server. 0: 5000 */
    /* Called by libwebsock_wait in the process that serves; it must not call the library. 0, or an
     * errno value, with which libwebsock_wait fails. NULL: nothing is to be done. */
    int (*start)(void *data, libwebsock_context *ctx);
    /* Called once after each start that returned 0, when the last callback of a client has
     * returned. What was published should leave, in bounded time. Once it has returned,
     * libwebsock_deliver must not be called. May be NULL. */
    void (*stop)(void *data);
    /* Called by libwebsock_free. May be NULL. */
    void (*free_data)(void *data);
    /* Adds a message to a topic's log, which is to keep what options says. Any thread, also before
     * start; must not wait, and must copy what it needs. publisher is a number for a client of this
     * server, or 0. Returns 0, or an errno value, with which libwebsock_publish fails: EAGAIN if
     * too much waits to leave. */
    int (*publish)(void *data, const libwebsock_publication *publication,
                   const libwebsock_topic_options *options, unsigned long long publisher);
    /* follow: the topic has its first subscriber here. The newest messages of its log, as many as
     * options says, then an end (see publication in libwebsock_delivery), and then all later ones,
     * are to come by libwebsock_deliver. Returns 0, or an errno value, with which
     * libwebsock_subscribe fails. following is a number that no other call is given; see
     * libwebsock_delivery. unfollow: the topic has lost its last subscriber. Both are called under
     * a lock of the library: they must not wait, nor call it. */
    int (*follow)(void *data, const char *topic, const libwebsock_topic_options *options,
                  unsigned long long following);
    void (*unfollow)(void *data, const char *topic);
    /* A client has come back to this server with the id of a message that is not here: it may be
     * on its way. What the log has by now is to come by libwebsock_deliver, and then an end.
     * Otherwise like follow. NULL: such a message counts as not in the log. */
    int (*catch_up)(void *data, const char *topic, unsigned long long following);
} libwebsock_backplane;

/* The backplane, which is copied, keeps all topics of this context from now on. Before
 * libwebsock_wait. EINVAL: an argument or a function that must be there is NULL, or size is
 * unknown; EBUSY: there is one already, or the context has topics, or serves; ENOMEM. */
int libwebsock_use_backplane(libwebsock_context *ctx, const libwebsock_backplane *backplane);

/* Set the whole struct to 0, then size to sizeof(libwebsock_delivery). */
typedef struct libwebsock_delivery {
    size_t size;
    const char *topic;
    unsigned long long epoch;   /* of the log, not 0. Another one: the log was lost, and begins
                                 * anew */
    unsigned long long offset;  /* of the message; the first one of an epoch has 1 */
    unsigned long long follows; /* the offset of the message before it, if some between them were
                                 * replaced by their keys. 0: offset - 1 */
    /* NULL, an end: the log has been handed over up to offset; what of that has not come is lost.
     * Subscribers that have waited begin. */
    const libwebsock_publication *publication;
    unsigned long long publisher; /* as it was handed to publish; 0 if another server did that */
    /* What follow was given: a delivery that comes late, when the topic was unfollowed and followed
     * anew, then fails with ENOENT. 0: it is for the topic as it is followed now. */
    unsigned long long following;
} libwebsock_delivery;

/* Hands over what a followed topic gets, in the order of offsets. Any thread, but not in a function
 * of the backplane; may wait while onpublished is far behind. *next, if next is not NULL, becomes
 * the offset that is to come next, also with ERANGE. What has come before is ignored. The first
 * message since follow may have any offset. Returns 0, or -1: ERANGE messages from *next on are
 * missing before it, so nothing was done; ENOENT the topic is not followed; EINVAL; EILSEQ; ENOMEM.
 */
int libwebsock_deliver(libwebsock_context *ctx, const libwebsock_delivery *delivery,
                       unsigned long long *next);

/* Writes a line to the log, as the library itself does: see onlog. Any thread. EINVAL: an argument
 * is NULL, or level is none. */
int libwebsock_log(libwebsock_context *ctx, int level, const char *text);

/* --- Closing: libwebsock_close(3) --- */

/* Starts the closing handshake with code 1000. A Close frame is sent after everything already
 * sent; the peer has close_timeout_ms to answer; then onclose runs. Does not block. Returns 0,
 * or -1: EINVAL client is NULL; ENOTCONN it is closing or closed; ENOMEM the connection was cut
 * off instead. RFC 6455 7.1.2. */
int libwebsock_close(libwebsock_client_state *client);

/* The same with a code and a reason. The codes that may be sent are 1000 to 1003, 1007 to 1014
 * and 3000 to 4999 (else EINVAL). reason is UTF-8 (else EILSEQ), or NULL for none; one of more
 * than 123 bytes is cut after the last whole character that fits. */
int libwebsock_close_with_reason(libwebsock_client_state *client, unsigned short code,
                                 const char *reason);

/* Cuts the connection off, without a closing handshake: what was sent and has not left is lost, and
 * what has come and has not run is not run. Then onclose runs, with close_info->reason why (UTF-8,
 * of which 123 bytes fit; NULL: "aborted by the program"), which is also logged. In onrequest, the
 * request gets no answer. Any thread; does not wait. Returns 0, or -1: EINVAL client is NULL;
 * EILSEQ why is not UTF-8; ENOTCONN the connection has ended. */
int libwebsock_abort(libwebsock_client_state *client, const char *why);

/* --- Later, and from elsewhere: libwebsock_post(3), libwebsock_after(3) --- */

/* Has fn(client, arg) called on a worker, among the client's events: once what came before has run,
 * and never at the same time as another callback of the client, not even with concurrent_events;
 * but beside onsession. It may do what a callback may. Only the client's callbacks must not be
 * changed. It also runs while the connection is closing. Posts of one thread run in order. If the
 * connection ends first, by libwebsock_abort or at the drain deadline for example, fn may not be
 * called at all: arg stays yours, so free it in onclose, or use libwebsock_post_with, which calls
 * free_arg(arg) on a worker, once: when fn has returned, or will not be called. Any thread with a
 * right to the handle, which it keeps until this returns; does not wait. Returns 0, or -1, and then
 * neither is called: EINVAL client or fn is NULL; ENOTCONN the connection is not open yet, or has
 * ended; ENOBUFS 65536 posts and due timers of this client wait; ENOMEM. */
int libwebsock_post(libwebsock_client_state *client,
                    void (*fn)(libwebsock_client_state *client, void *arg), void *arg);
int libwebsock_post_with(libwebsock_client_state *client,
                         void (*fn)(libwebsock_client_state *client, void *arg), void *arg,
                         void (*free_arg)(void *arg));

/* Has fn(client, arg) called as libwebsock_post does. after: once, ms milliseconds from now. every:
 * first after ms, then at that interval. Both end with the client, before onclose. fn may run
 * before this call has returned. client NULL: for the program itself, during libwebsock_wait; each
 * such timer has a worker of its own while it runs, and ends with the context's last client when
 * that stops. every does not drift; if fn is still running, or waits for a worker, when it is due
 * again, that turn is left out. A client's timers wait with its other callbacks, so one that leaves
 * much unread can put them off: see libwebsock_after(3). Returns the timer's number, which no other
 * has for a very long time, or 0: EINVAL ctx or fn is NULL, the client belongs to another context,
 * ms is negative, or 0 in every; ENOTCONN the client is not open yet, or has ended; ESHUTDOWN the
 * context has stopped; ENOMEM; EPERM it serves in another process. */
unsigned long long libwebsock_after(libwebsock_context *ctx, libwebsock_client_state *client,
                                    int ms, void (*fn)(libwebsock_client_state *client, void *arg),
                                    void *arg);
unsigned long long libwebsock_every(libwebsock_context *ctx, libwebsock_client_state *client,
                                    int ms, void (*fn)(libwebsock_client_state *client, void *arg),
                                    void *arg);

/* Both in one: first in first_ms, then every every_ms (0: only once). When the timer is over, and
 * fn does not run any more, free_arg(arg) is called once, unless it is NULL: on a worker, or in
 * libwebsock_cancel, or in the function that ends the context. So do not cancel under a lock that
 * free_arg takes. */
unsigned long long libwebsock_start_timer(libwebsock_context *ctx, libwebsock_client_state *client,
                                          int first_ms, int every_ms,
                                          void (*fn)(libwebsock_client_state *client, void *arg),
                                          void *arg, void (*free_arg)(void *arg));

/* Ends a timer: fn is not called any more. Does not wait: a turn of every that is running goes on.
 * Any thread, also fn itself. Returns 0, or -1: ENOENT there is no such timer: it has run, or runs
 * for the last time, or its client has ended; EINVAL ctx is NULL; EPERM it serves in another
 * process. */
int libwebsock_cancel(libwebsock_context *ctx, unsigned long long timer);

/* --- Client handles: libwebsock_retain(3) --- */

/* Keeps the handle valid memory, even after onclose and libwebsock_free, until
 * libwebsock_release has been called as many times. Once the client has gone, sends on it fail
 * with ENOTCONN, also after libwebsock_free. retain returns client. NULL is allowed in both. */
libwebsock_client_state *libwebsock_retain(libwebsock_client_state *client);
void libwebsock_release(libwebsock_client_state *client);

/* 1: messages can be sent. 0: it is not open yet, is closing or has ended; also if client is NULL.
 * After the client's Close it is 1 until the library has answered that. It may end at any moment.
 * Any thread. */
int libwebsock_is_open(const libwebsock_client_state *client);

/* A descriptor for a callback that waits in poll(2) for something else on behalf of the client.
 * Readable as soon as the client's Close is read, or when the connection ends; and stays so. Sends
 * still work for up to a second; return soon, as the client waits for its Close. It belongs to the
 * library: only poll it. Valid as long as the handle. Any thread. Nothing is read from a client
 * while its session does not receive, nor while max_queued_bytes of its messages wait, and then its
 * leaving is not noticed. Returns the descriptor, or -1: EINVAL client is NULL; EMFILE, ENFILE or
 * ENOMEM. */
int libwebsock_gone_fd(libwebsock_client_state *client);

/* Sets client->data. free_data(data) is called, unless it is NULL, when the handle is freed: after
 * the last callback and the last libwebsock_release, on the thread that this happens on: it may be
 * the connection's, with a stack of connection_stack_bytes. A second call frees the old data,
 * unless it is the same pointer; then only free_data is replaced. To assign client->data does not
 * change what is freed. By the client's callbacks, one at a time, onrequest among them. Does
 * nothing if client is NULL. */
void libwebsock_set_data(libwebsock_client_state *client, void *data,
                         void (*free_data)(void *data));

/* Which of the context's settings has another value for this client. */
#define LIBWEBSOCK_LIMIT_MESSAGE 1     /* max_message_payload */
#define LIBWEBSOCK_LIMIT_FRAME 2       /* max_frame_payload */
#define LIBWEBSOCK_LIMIT_QUEUED 3      /* max_queued_bytes */
#define LIBWEBSOCK_LIMIT_IDLE_MS 4     /* idle_timeout_ms */
#define LIBWEBSOCK_LIMIT_CONCURRENCY 5 /* messages that may run at a time; 1: in order */

/* Only in onrequest or onopen. In onopen, what has begun to come already may get past by the old
 * limit. Returns 0, or -1: EINVAL client is NULL, or which or n is out of range: as for the
 * setting, but a concurrency of 0; EPERM this is not its onrequest or onopen.
 * libwebsock_set_limit(3). */
int libwebsock_set_limit(libwebsock_client_state *client, int which, unsigned long long n);

/* The peer's address as text, "127.0.0.1:54321" or "[::1]:54321" or "unix". Valid as long as
 * the handle. NULL: EINVAL client is NULL. */
const char *libwebsock_peer(const libwebsock_client_state *client);

/* The request that opened this connection. NULL: EINVAL client is NULL. */
const libwebsock_request *libwebsock_client_request(const libwebsock_client_state *client);

/* The result of this connection's TLS handshake, from onrequest or onopen on. NULL: ENOENT the
 * connection has no TLS; EINVAL client is NULL. libwebsock_client_tls(3). */
const libwebsock_tls_info *libwebsock_client_tls(const libwebsock_client_state *client);

/* Fills in *info, as many fields as info->size has room for: what was agreed with a client about
 * compression, and what that has saved. From onopen to onclose, and later if the client is
 * retained. Returns 0, or -1: ENOENT no compression was agreed; EINVAL an argument is NULL, or
 * info->size is less than sizeof info->size. libwebsock_client_compression(3). */
int libwebsock_client_compression(libwebsock_client_state *client,
                                  libwebsock_compression_info *info);

/* --- Sessions: libwebsock_receive(3) ---
 *
 * These are for onsession. Return values are never mixed: 1 something has come, 0 the connection
 * has ended, and close_info says how; -1 nothing has come, and the connection can be used on:
 *   ETIMEDOUT not within timeout_ms (negative: no limit; 0: only what is there)
 *   EINTR     libwebsock_wake was called
 *   EINVAL    an argument is NULL; or the message that is coming has begun to be received the
 *             other way, as a whole or in parts
 *   EPERM     the client has no session, or this is not its thread
 *   EBUSY     its session is receiving, and this is another thread
 *   EDEADLK   this is another callback of the same client, with a session or without
 * Meanwhile pings are answered, and a Close is. */

/* Waits for a message, as onmessage would get it. *msg is valid until the next receive, or until
 * onsession returns. */
int libwebsock_receive(libwebsock_client_state *client, libwebsock_message *msg, int timeout_ms);

/* The same for a part of a message, as onpart would get it. */
int libwebsock_receive_part(libwebsock_client_state *client, libwebsock_part *part, int timeout_ms);

/* Makes the session's receive, or its next one, fail with EINTR: something else is to be done. Any
 * thread. Does not wait; the session notices at once, its first wake after 100 ms at the latest.
 * Returns 0, or -1: EINVAL client is NULL; EPERM it has no session, or that has not begun or has
 * returned. */
int libwebsock_wake(libwebsock_client_state *client);

/* --- Requests: libwebsock_onrequest(3) ---
 *
 * Those that take a request: any thread, as long as the client handle is valid. The others work
 * only inside onrequest; elsewhere they fail with EPERM. If accept_protocol or respond is called
 * several times, the last call counts. */

/* The value of a header, without white space around it. Upper and lower case of name are the
 * same. Several headers of one name are joined with ", ". Any thread. Valid as long as the
 * client handle. NULL: ENOENT it was not sent; EINVAL an argument is NULL. */
const char *libwebsock_request_header(const libwebsock_request *request, const char *name);

/* The first parameter of this name in the query, decoded as forms are: '+' is a space, %41 is "A",
 * a '%' that begins no escape stays, and "a" without '=' is "". Names are decoded, too. Its bytes
 * and a NUL go into the size bytes of out; they need not be UTF-8. Returns 0, or -1, and out, if it
 * has room for that, is "": ENOENT there is none; ERANGE it does not fit; EINVAL an argument is
 * NULL, size is 0, or the value has a NUL (%00). libwebsock_query_parameter(3). */
int libwebsock_query_parameter(const libwebsock_request *request, const char *name, char *out,
                               size_t size);

/* The same for the first cookie of this name, RFC 6265. Names are case-sensitive and not decoded.
 * Double quotes around a value are taken off; %41 is decoded, and '+' stays. */
int libwebsock_cookie(const libwebsock_request *request, const char *name, char *out, size_t size);

/* Calls f for each header line, in the order they came in: the name as it was sent, the value
 * without white space around it. Several lines of one name come one by one. The strings are valid
 * as long as the client handle. f returns 0 to go on; anything else ends this, and is returned.
 * Returns 0 after the last line, or -1: EINVAL request or f is NULL. */
int libwebsock_each_header(const libwebsock_request *request,
                           int (*f)(void *arg, const char *name, const char *value), void *arg);

/* Accepts subprotocol name in the answer to the upgrade. Returns 0, or -1: EINVAL the client
 * did not offer it, or an argument is NULL; EPERM; ENOMEM. RFC 6455 4.2.2. */
int libwebsock_accept_protocol(libwebsock_client_state *client, const char *name);

/* Messages from and to this client will not be compressed, whatever it has offered. Unless
 * ctx->compression is 1, they never are. Returns 0, or -1: EINVAL client is NULL; EPERM. */
int libwebsock_refuse_compression(libwebsock_client_state *client);

/* Adds a header to the response, whichever it is: the upgrade, what libwebsock_respond sets, a
 * status that onrequest returns, or 426 for plain HTTP. A header added twice is sent twice; a
 * Content-Type, Date or Retry-After replaces the library's own. Returns 0, or -1: EINVAL an
 * argument is NULL, name is not a token, value has a control character (such as CR or LF), or
 * the library writes this header itself (Connection, Upgrade, Content-Length,
 * Transfer-Encoding, Sec-WebSocket-*); EPERM; ENOMEM. */
int libwebsock_add_response_header(libwebsock_client_state *client, const char *name,
                                   const char *value);

/* Answers with status (200 to 599), content_type (NULL: none) and body (copied; NULL if len is
 * 0) instead of the upgrade, then closes the connection. If onrequest then returns a status,
 * that status is sent, with this body. HEAD gets no body. Returns 0, or -1: EINVAL; EPERM;
 * ENOMEM. */
int libwebsock_respond(libwebsock_client_state *client, int status, const char *content_type,
                       const void *body, size_t len);

/* --- Miscellaneous: libwebsock_dump_frame(3) --- */

/* Prints frame to stderr, with its payload in hexadecimal. Waits 10 ms at most for stderr; what
 * that does not take is lost. Returns 0, or -1: EINVAL frame is NULL; ENOMEM. */
int libwebsock_dump_frame(const libwebsock_frame *frame);

/* The version of the library that is linked, "1.0.0". LIBWEBSOCK_VERSION_* is the version of
 * this header. Never NULL. */
const char *libwebsock_version_string(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
