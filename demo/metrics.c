/* metrics.c: the figures of libwebsock_stats in the text exposition format of Prometheus,
 * version 0.0.4. The names are for dashboards and alerts: they do not change. stats.c has
 * the figures for the page.
 *
 * A sum of other figures is left out, as Prometheus wants it: connections_refused is
 * sum(websock_connections_refused_total). */
#include "metrics.h"

#include <stdarg.h>
#include <stdio.h>

/* Twice of what all of it takes when each figure has 20 digits. */
struct text {
    char bytes[20480];
    size_t len;
    int full; /* something did not fit */
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof text->bytes - text->len;
    int len = vsnprintf(text->bytes + text->len, room, format, arguments);
    va_end(arguments);
    text->full |= len < 0 || (size_t)len >= room;
    text->len += text->full ? 0 : (size_t)len;
}

static void describe(struct text *text, const char *name, const char *type, const char *help)
{
    add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_gauge(struct text *text, const char *name, unsigned long long value,
                      const char *help)
{
    describe(text, name, "gauge", help);
    add(text, "%s %llu\n", name, value);
}

static void add_counter(struct text *text, const char *name, unsigned long long value,
                        const char *help)
{
    describe(text, name, "counter", help);
    add(text, "%s %llu\n", name, value);
}

static void add_refusals(struct text *text, const libwebsock_statistics *now)
{
    static const char name[] = "websock_connections_refused_total";
    const struct {
        const char *reason;
        unsigned long long count;
    } refusals[] = {
        {"no_room", now->refused_no_room},
        {"tls", now->refused_tls},
        {"late", now->refused_late},
        {"request", now->refused_request},
        {"onrequest", now->refused_by_onrequest},
        {"plain_http", now->refused_plain_http},
        {"gone", now->refused_gone},
        {"for_newer", now->refused_for_newer},
    };
    describe(text, name, "counter",
             "Connections that did not become WebSocket clients, by reason.");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        add(text, "%s{reason=\"%s\"} %llu\n", name, refusals[i].reason, refusals[i].count);
    }
}

static void add_closes(struct text *text, const libwebsock_statistics *now)
{
    static const char name[] = "websock_connections_closed_total";
    const unsigned others = sizeof now->closed / sizeof now->closed[0] - 1;
    describe(text, name, "counter", "Clients that are gone, by the close code they ended with.");
    for (unsigned i = 0; i < others; i++) {
        add(text, "%s{code=\"%u\"} %llu\n", name, 1000 + i, now->closed[i]);
    }
    add(text, "%s{code=\"other\"} %llu\n", name, now->closed[others]);
}

static void add_topics(struct text *text, const libwebsock_statistics *now)
{
    add_gauge(text, "websock_topics", now->topics, "Topics that have subscribers or messages.");
    add_gauge(text, "websock_topic_bytes", now->topic_bytes,
              "Memory of all topics and the messages they keep.");
    add_counter(text, "websock_topic_publications_total", now->publications,
                "Messages published to topics.");
    add_counter(text, "websock_topic_deliveries_total", now->deliveries,
                "Messages of topics written to subscribers.");
    add_counter(text, "websock_topic_replaced_total", now->replaced,
                "Messages of topics replaced by a newer one with the same key.");
    add_counter(text, "websock_topic_missed_total", now->missed,
                "Messages of topics that subscribers were too slow for.");
    add_counter(text, "websock_topic_closed_behind_total", now->closed_behind,
                "Clients closed with 1013 because they were too slow for a topic.");
}

static void add_seconds(struct text *text, const char *name, unsigned long long microseconds,
                        const char *help)
{
    describe(text, name, "counter", help);
    add(text, "%s %llu.%06llu\n", name, microseconds / 1000000, microseconds % 1000000);
}

static void add_compression(struct text *text, const libwebsock_statistics *now)
{
    add_gauge(text, "websock_connections_compressed", now->connections_compressed,
              "WebSocket clients that have agreed to compression, now.");
    add_counter(text, "websock_deflated_messages_total", now->deflated_messages,
                "Messages sent compressed, once for each client.");
    add_counter(text, "websock_deflated_bytes_before_total", now->deflated_bytes_before,
                "Payload bytes of messages sent compressed, before that.");
    add_counter(text, "websock_deflated_bytes_after_total", now->deflated_bytes_after,
                "Payload bytes of messages sent compressed, as they left.");
    add_counter(text, "websock_uncompressed_messages_total", now->uncompressed_messages,
                "Messages sent as they are to clients that take compressed ones.");
    add_counter(text, "websock_deflations_total", now->deflations,
                "Compressions, one for what many clients get, those in vain included.");
    add_seconds(text, "websock_deflate_seconds_total", now->deflate_microseconds,
                "Time spent on compressing what is sent.");
    add_counter(text, "websock_inflated_messages_total", now->inflated_messages,
                "Messages that came compressed.");
    add_counter(text, "websock_inflated_bytes_before_total", now->inflated_bytes_before,
                "Payload bytes of messages that came compressed, as they came.");
    add_counter(text, "websock_inflated_bytes_after_total", now->inflated_bytes_after,
                "Payload bytes of messages that came compressed, inflated.");
    add_seconds(text, "websock_inflate_seconds_total", now->inflate_microseconds,
                "Time spent on inflating what has come.");
    add_gauge(text, "websock_compression_states", now->compression_states,
              "States of zlib, in use or kept for the next message.");
    add_gauge(text, "websock_compression_state_bytes", now->compression_state_bytes,
              "Memory of the states of zlib.");
}

static void add_all(struct text *text, const libwebsock_statistics *now)
{
    static const char longest[] = "websock_longest_callback_seconds";

    add_gauge(text, "websock_connections_open", now->connections_open,
              "WebSocket clients connected now.");
    add_counter(text, "websock_connections_accepted_total", now->connections_accepted,
                "Sockets accepted, whatever became of them.");
    add_refusals(text, now);
    add_closes(text, now);
    add_counter(text, "websock_send_timeouts_total", now->send_timeouts,
                "Clients dropped because they did not read what they were sent.");
    add_counter(text, "websock_messages_received_total", now->messages_in,
                "Messages received from clients.");
    add_counter(text, "websock_messages_sent_total", now->messages_out,
                "Messages sent to clients.");
    add_counter(text, "websock_received_bytes_total", now->bytes_in,
                "Bytes received, HTTP and frame headers included, without TLS.");
    add_counter(text, "websock_sent_bytes_total", now->bytes_out,
                "Bytes sent, HTTP and frame headers included, without TLS.");
    add_gauge(text, "websock_events_queued", now->events_queued,
              "Events that wait for a worker now.");
    add_gauge(text, "websock_workers", now->workers,
              "Threads that run callbacks, idle ones included.");
    add_gauge(text, "websock_workers_busy", now->workers_busy,
              "Threads that are in a callback now.");
    add_gauge(text, "websock_blocked_writers", now->blocked_writers,
              "Clients that do not read as fast as they are sent to, now.");
    add_topics(text, now);
    add_compression(text, now);
    describe(text, longest, "gauge", "How long the oldest callback that still runs has run.");
    add(text, "%s %llu.%03llu\n", longest, now->longest_callback_ms / 1000,
        now->longest_callback_ms % 1000);
}

int metrics_serve(libwebsock_client_state *client)
{
    struct text text = {.len = 0};
    libwebsock_statistics now = {.size = sizeof now};
    if (libwebsock_stats(client->ctx, &now) != 0) {
        return 500;
    }
    add_all(&text, &now);
    if (text.full) {
        return 500;
    }
    (void)libwebsock_add_response_header(client, "Cache-Control", "no-store");
    return libwebsock_respond(client, 200, "text/plain; version=0.0.4; charset=utf-8", text.bytes,
                              text.len) == 0
               ? 0
               : 500;
}
